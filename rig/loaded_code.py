"""List the code that ran in this process, for the log: the files of its modules, with hashes."""

import hashlib
import sys
import sysconfig
from pathlib import Path

_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib"))


def loaded_code() -> dict[str, tuple[str, str]]:
    """Return the file and SHA-256 of each loaded module, by its name.

    Modules of Python's library and of installed packages are left out, as Start contains their
    versions. Those of this program are always included, wherever it is installed. So the log shows
    if a file in the folder in which a process was started has replaced a module of a library.
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
