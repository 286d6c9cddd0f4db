"""Reads closed ScanImage files with the vendor's reader, which must be fed nothing but good files.

It ends the process on damaged files and on ranges outside the file, and reads a half-written or a
compressed page as if it were whole. So a file is first gone through by the follower.
"""

from pathlib import Path

from acquisition.follow import FileFollower


def pages_in(path: Path) -> int:
    """Count the pages of a closed file.

    Raises Refused if the file is not ScanImage's, is damaged, compressed, torn or not closed, or
    if the vendor's reader counts otherwise.
    """
    follower = FileFollower(path)
    try:
        whole = _whole_pages(follower)
        theirs = _vendor_pages(path) if whole else 0
        if theirs != whole:
            raise follower.refused(f"has {whole} pages, of which ScanImage's reader sees {theirs}")
    finally:
        follower.close()
    return whole


def _whole_pages(follower: FileFollower) -> int:
    pages = list(follower.poll())
    kinds = {(page.height_px, page.width_px, page.dtype) for page in pages}
    if follower.static is None or follower.torn_bytes:
        raise follower.refused(f"breaks off after {len(pages)} whole pages")
    if not follower.ends:
        raise follower.refused(f"was not closed after its {len(pages)} pages")
    if len(kinds) > 1:
        raise follower.refused("has pages of different sizes")
    return len(pages)


def _vendor_pages(path: Path) -> int:
    from ScanImageTiffReader import ScanImageTiffReader

    with ScanImageTiffReader(str(path)) as reader:
        return len(reader)
