import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]
# what fetches other projects' modules: script/interop's
collect_ignore = [] if os.environ.get("MINTMARK_SLOW") else ["slow"]
