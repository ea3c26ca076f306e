"""``python -m services.recorder``."""

from services.recorder.app import build
from services.recorder.settings import RecorderSettings
from tailstream.runtime.run import run

if __name__ == "__main__":
    run(build, RecorderSettings, name="recorder")
