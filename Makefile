# A front to meson and ninja; the build itself is in the meson.build files.
# `make help` lists the targets.

BUILD = build
PREFIX = /usr/local
DESTDIR =
NINJA = ninja -C $(BUILD)
C_FILES = $(shell find src tests bench -name '*.c' -o -name '*.h' -o -name '*.cpp')

.PHONY: all deps test-deps demo check lint tidy test test-deploy test-clean chaos bench cost up down smoke install deb \
    image clean fmt help

all: $(BUILD)/build.ninja ## build/gtap, optimised and hardened (the default)
	$(NINJA) gtap

$(BUILD)/build.ninja:
	meson setup $(BUILD)

$(BUILD)/.tests: $(BUILD)/build.ninja
	meson configure $(BUILD) -Dtests=enabled
	touch $@

deps: ## install what building needs (Debian packages; sudo when not root)
	tools/install-deps.sh build

test-deps: ## install what testing needs, too
	tools/install-deps.sh build test deploy

demo: deps ## from a bare machine to a first answer
	$(MAKE) --no-print-directory all
	tools/demo.sh $(BUILD)/gtap

check: lint $(BUILD)/.tests ## unit and property tests and lint, for every day
	$(NINJA)
	meson test -C $(BUILD) --no-rebuild --print-errorlogs --suite unit --suite property

lint: ## layers, house style, formatting
	tools/lint.sh

tidy: build-clang/build.ninja ## clang-tidy's opinion, one file after the other
	clang-tidy --quiet -p build-clang $(filter src/%.c,$(C_FILES))

build-clang/build.ninja:
	CC=clang CXX=clang++ meson setup build-clang -Dtests=enabled

test: test-deps ## everything: gcc, clang, ASan, UBSan, TSan, fuzzing, integration, end to end
	tools/run-tests.sh

test-deploy: ## what is deployed: package, image, compose, Terraform, four machines that run (15 minutes)
	tools/install-deps.sh build test deploy
	tools/run-tests.sh deploy

test-clean: ## `make demo` and `make test` in a fresh Debian 12 root (debootstrap; needs root)
	tests/integration/clean-root.sh

# The same KILLS, SEED and MINUTES strike the same plan.
KILLS = 100
MINUTES = 10
SEED = $(shell date +%s)

chaos: all test-deps ## faults by the hundred, accounts kept (KILLS, MINUTES, SEED)
	tests/chaos/chaos.py --gtap $(BUILD)/gtap --kills $(KILLS) --minutes $(MINUTES) --seed $(SEED)

bench: ## the benchmarks; writes bench/RESULTS.md (40 minutes at most)
	bench/run.sh

# One machine, all parts: deploy/compose/compose.yaml. VOLUMES=1: its data goes as well.
COMPOSE = docker compose -f deploy/compose/compose.yaml
VOLUMES =

up: ## Kafka, MongoDB, processor and producers on this machine (Docker Compose; the image: make image)
	deploy/compose/secrets.sh deploy/compose/secrets
	$(COMPOSE) up --detach --wait --wait-timeout 300
	$(COMPOSE) ps

down: ## end them; data stays, unless VOLUMES=1
	$(COMPOSE) down --timeout 60 $(if $(filter 1,$(VOLUMES)),--volumes)

smoke: ## publish records there, wait for their costs, take them away again
	CA0/demo/smoke-test.sh

# PLAN=FILE: of what `terraform show -json` says, in place of CA1 as it comes.
PLAN =

cost: ## what the machines of CA1 cost a month (deploy/cost)
	@python3 deploy/cost/cost.py $(if $(PLAN),--plan $(PLAN))

install: all ## binary, man page, completions and units under $(DESTDIR)$(PREFIX)
	tools/install.sh $(BUILD)/gtap "$(PREFIX)" "$(DESTDIR)"

deb: ## a package for Debian 12, in build-deb (tools/install-deps.sh build deploy)
	deploy/deb/build.sh build-deb

# ARCHIVE=FILE saves it; BUILD_BASE=, ENGINE= and others: see deploy/image/build.sh.
image: ## the image gtap:VERSION, by docker, podman or buildah (ARCHIVE=gtap-image.tar saves it)
	deploy/image/build.sh

clean: ## forget everything built
	rm -rf $(BUILD) build-*

fmt: ## clang-format over all C and C++ files
	clang-format -i $(C_FILES)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
