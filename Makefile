# make demo        set up, then run one simulated imaging session (about a minute)
# make test        set up, then run the whole test suite
# make test-fast   the tests that run no whole session and no large program
# make screenshots  the pictures of the panel and the live page in docs/images (four minutes)
# make check       ruff, mypy for Linux, Windows and macOS, import layers

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SYSTEM := libgl1 libglu1-mesa libegl1
PIP := $(BIN)/python -m pip install -q -q --disable-pip-version-check --no-deps

.PHONY: demo test test-fast screenshots check setup system clean

demo: setup
	@$(BIN)/rig demo --data data

# COVERAGE=1 measures the tests that run no session; measuring makes the processes of a session so
# slow that its messages come late. Sessions in virtual time wait for nothing, so two run at once.
test: setup
	$(BIN)/python -m $(if $(COVERAGE),coverage run -m )pytest -n 2 -m "not session and not virtual"
	$(BIN)/python -m pytest -n 2 --dist loadscope -m virtual
	$(BIN)/python -m pytest -m session

# three workers for two cores: many tests wait for a device
test-fast: setup
	$(BIN)/python -m pytest -n 3 -m "not session and not virtual and not slow"

screenshots: setup
	$(BIN)/python -m tests.rig.monitor.screenshots docs/images

# names that only Linux has are used only on Linux
PRODUCT := $(addprefix -p ,rig behavior stimuli acquisition analysis)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 $(PRODUCT)
	$(BIN)/mypy --platform darwin $(PRODUCT)
	$(BIN)/lint-imports

setup: $(READY) system

$(READY): requirements.txt setup.cfg pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13) and \
	  'this needs Python 3.11 or 3.12; name one: make PYTHON=python3.12 demo')"
	@echo "setting up $(VENV): a minute or two"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -r requirements.txt
	@$(PIP) --no-build-isolation --editable .
	@touch $(READY)
	@echo "ready. Next: make demo, or: source $(VENV)/bin/activate && rig --help"

# The few system libraries that the corridor's window needs; without them the display stays off.
INSTALL := apt-get install -y -qq --no-install-recommends $(SYSTEM)
MISSING := $(BIN)/python -c "import sys; \
  from stimuli.window.display_requirements import missing; sys.exit(missing() is not None)"

system: $(READY)
	@$(MISSING) || { \
	  if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	    echo "installing: $(SYSTEM)"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(INSTALL) >/dev/null; \
	  elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then \
	    echo "installing: $(SYSTEM)"; \
	    sudo -n apt-get update -qq && sudo -n $(INSTALL) >/dev/null; \
	  fi; }
	@$(MISSING) || printf '\033[1;31m%s\033[0m\n' \
	  "The display stays off: system libraries are missing. To install them: sudo $(INSTALL)"

clean:
	rm -rf $(VENV) build *.egg-info
