"""Which code ran in this process: the files of its modules and their hashes, for the log."""

import hashlib
import sys
import sysconfig
from pathlib import Path

_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib"))


def loaded_code() -> dict[str, tuple[str, str]]:
    """Return the file and SHA-256 of each loaded module, by its name.

    Modules of Python's library and of installed packages are left out, as Start names their
    versions; those of this program are always included, wherever it is installed. A module that
    replaces one of a library because of where the process was started is therefore found.
    """
    main = getattr(sys.modules["__main__"], "__spec__", None)
    own = {__name__.partition(".")[0], main.name.partition(".")[0] if main is not None else ""}
    found = {}
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is None or not file.endswith(".py"):
            continue
        of_library = file.startswith(_LIBRARIES) or "site-packages" in Path(file).parts
        if of_library and name.partition(".")[0] not in own:
            continue
        try:
            digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()
        except OSError as error:
            digest = f"cannot be read: {error.strerror}"
        found[main.name if name == "__main__" and main is not None else name] = (file, digest)
    return found
