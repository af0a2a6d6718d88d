"""What pyproject.toml cannot say: the compiled part of the scorer, and files of other folders that the demo needs.

The compiled part is optional: where it cannot be built, models/scorer.py works with numpy.
"""

import os
import sys
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

flags = (
    []
    if sys.platform == "win32"
    else ["-std=c11", "-O3", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-missing-field-initializers"]
)

# For stream/demo/monitoring/files.py. The image has no use for them and is built without.
MONITORING = {
    "deploy/alertmanager": "alertmanager",
    "deploy/grafana/dashboards": "grafana/dashboards",
    "deploy/prometheus/rules": "prometheus/rules",
    "docs/runbooks": "runbooks",
}


class BuildWithMonitoring(build_py):
    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return  # there they are found where they are
        for source, target in MONITORING.items():
            if os.path.isdir(source):
                self.copy_tree(source, os.path.join(self.build_lib, "stream", "demo", "deploy", target))


setup(
    cmdclass={"build_py": BuildWithMonitoring},
    ext_modules=[
        Extension(
            "models.native.kernel",
            sorted(glob("models/native/*.c")),
            depends=sorted(glob("models/native/*.h")),
            extra_compile_args=flags,
            # REQUIRE_NATIVE=1 (the image, the checks) turns a failed build into an error.
            optional=os.environ.get("REQUIRE_NATIVE") != "1",
        )
    ],
)
