# Everything here runs in .venv, which the first call makes from requirements.txt: no ROS install is needed.
# `make help` lists the targets.

PYTHON ?= python3
PIP_ARGS ?=
OUT ?= demo_out
METHOD ?= auto
SCALE ?= 4
BAG ?=
PYTEST_ARGS ?=
# Google's sections, and no docstring where there is nothing to say. Of the other ament linters on PyPI, ament_flake8
# wants single quotes and 99 columns where ruff decides here, and ament_xmllint fetches its schema from the network.
PEP257 = --convention google --add-ignore D100 D101 D102 D103 D104 D105 D106 D107 D205 D209 D300 D402 D403 D415 D417
CODE = depth_sr_ros training launch examples setup.py

venv := .venv/bin
pip := $(venv)/python -m pip --disable-pip-version-check -qq install $(PIP_ARGS)

# Tests and demo talk over DDS: on this machine only, in a domain that no robot nearby uses. 1-101 are the
# domains whose ports lie below Linux's ephemeral ones.
own_domain = ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ROS_DOMAIN_ID=$$(( $$$$ % 101 + 1 ))

# Images of megabytes need more than Fast DDS's default shared memory; a profile of the user's own has precedence.
ifeq ($(FASTDDS_DEFAULT_PROFILES_FILE)$(FASTRTPS_DEFAULT_PROFILES_FILE)$(FASTDDS_BUILTIN_TRANSPORTS),)
export FASTDDS_DEFAULT_PROFILES_FILE := $(CURDIR)/config/fastdds_large_data.xml
endif

.DELETE_ON_ERROR:
.PHONY: help venv demo test cov lint docs bench clean distclean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12
	@echo
	@echo "make demo BAG=path OUT=$(OUT) METHOD=$(METHOD) SCALE=$(SCALE)   play a bag of your own"
	@echo "make test PYTEST_ARGS='test/test_depth.py -k holes'   a part of the tests"
	@echo "make venv PYTHON=python3.12 PIP_ARGS='...'   another Python, other pip options"

venv: .venv/installed ## set up .venv, once (2 GB with a CPU torch, several more with PyPI's CUDA build)

demo: venv ## play a bag through the live node; writes demo_out/metrics.json and panel.png
	@$(own_domain) $(venv)/python -m depth_sr_ros.cli demo --bag "$(BAG)" --out "$(OUT)" --method "$(METHOD)" --scale "$(SCALE)"

# All of them in two processes with a thread each, as most use no second thread, and those of the node wait a lot;
# then, in one, what measures the full rate.
pytest = $(own_domain) OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(venv)/python -m pytest

test: venv ## run every test
ifeq ($(strip $(PYTEST_ARGS)),)
	status=0; \
	$(pytest) --numprocesses 2 --no-loadscope-reorder -m "not alone" || status=$$?; \
	$(pytest) -m alone || status=$$?; \
	exit $$status
else
	$(pytest) $(PYTEST_ARGS)
endif

# Without the tests of the full rate, which measuring slows down. Nodes and commands that tests start as processes of
# their own are measured too.
cov: venv ## run the tests and list the lines that none reaches; fails below the floor in pyproject.toml
	$(pytest) --numprocesses 2 --no-loadscope-reorder -m "not alone" --cov --cov-report=term-missing:skip-covered

lint: venv ## check style and types: ruff, mypy, ament_pep257, and package.xml as colcon reads it
	$(venv)/ruff check $(CODE) test
	$(venv)/ruff format --check $(CODE) test
	$(venv)/mypy
	$(venv)/ament_pep257 $(PEP257) -- $(CODE)
	$(venv)/python -c 'from catkin_pkg.package import parse_package; parse_package("package.xml").validate()'

docs: venv ## build site/ from docs/ and the docstrings; a broken link or a wrong docstring fails
	NO_MKDOCS_2_WARNING=1 $(venv)/mkdocs build --strict
	@echo "open site/index.html (its search needs a server: $(venv)/python -m http.server --directory site)"

bench: venv ## measure solver and methods on this machine
	@$(venv)/python -m depth_sr_ros.cli bench

clean: ## remove what builds, tests and demos left
	rm -rf build install log demo_out examples_out site *.egg-info .hypothesis .*_cache .coverage .coverage.*
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean ## remove .venv too
	rm -rf .venv

.venv/requirements: requirements.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 10) else \
	  f"Python 3.10 or newer is needed, {sys.executable} is {v.major}.{v.minor}: make PYTHON=python3.12")'
	@echo "Setting up .venv from requirements.txt, a few minutes the first time: 2 GB with a CPU build of torch,"
	@echo "several more with the CUDA build that PyPI serves by default (CONTRIBUTING.md tells how to choose)"
	@$(PYTHON) -m venv .venv
	@$(pip) -r requirements.txt
	@touch $@

# The package itself, editable: gives .venv the commands `sr_node` and `depth-sr`.
.venv/installed: .venv/requirements setup.py setup.cfg
	@$(pip) --no-deps -e .
	@touch $@
