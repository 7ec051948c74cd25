"""Where the one-file program begins: as ``python -m deepoj``, in an environment that is nobody's but the caller's."""

import os

# the bootloader points the loader to the libraries beside it; programs that we start are to find those of the host
_BEFORE = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
if _BEFORE is None:
    os.environ.pop("LD_LIBRARY_PATH", None)
else:
    os.environ["LD_LIBRARY_PATH"] = _BEFORE

from deepoj.__main__ import main  # noqa: E402 - after the environment

main()
