"""The compiled part of the scorer. It is optional: where it cannot be built, models/scorer.py works with numpy."""

import os
import sys
from glob import glob

from setuptools import Extension, setup

flags = (
    []
    if sys.platform == "win32"
    else ["-std=c11", "-O3", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-missing-field-initializers"]
)

setup(
    ext_modules=[
        Extension(
            "models.native.kernel",
            sorted(glob("models/native/*.c")),
            depends=sorted(glob("models/native/*.h")),
            extra_compile_args=flags,
            # REQUIRE_NATIVE=1 (the image, the checks) turns a failed build into an error.
            optional=os.environ.get("REQUIRE_NATIVE") != "1",
        )
    ]
)
