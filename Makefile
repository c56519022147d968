# A thin wrapper over CMake. `make demo` and `make test` are all a newcomer needs.
BUILD ?= build
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PREFIX ?= /usr/local
CMAKE ?= cmake
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin
# $(call build_tree,DIR,CMAKE_OPTIONS): configure and build one tree; the configure log is shown if it fails
define build_tree
@mkdir -p $(1)
@$(CMAKE) -S . -B $(1) -DCMAKE_BUILD_TYPE=Release $(2) > $(1)/configure.log 2>&1 || { cat $(1)/configure.log; exit 1; }
@$(CMAKE) --build $(1) -j $(JOBS)
endef

.PHONY: all build deps test-deps demo decode test test-release test-sanitized test-second test-nightly bench bench-deps bench-kernels install clean
all: build

build: deps
	$(call build_tree,$(BUILD))

deps:
	@scripts/deps.sh
test-deps:
	@scripts/deps.sh test
bench-deps:
	@scripts/deps.sh bench

demo: build
	@examples/demo/run.sh $(BUILD)

# Token by token: over a cache, and a million tokens in constant memory. docs/decoding.md tells more.
decode: build
	@examples/decode/run.sh $(BUILD)

# Everything as released; then, on fewer sizes, under ASan+UBSan with leak checking and with the other LLVM.
test: test-deps build
	$(call build_tree,$(BUILD)/sanitized,-DATTNC_SANITIZE=ON)
	$(call build_tree,$(BUILD)/second,-DATTNC_LLVM=second)
	@cd $(BUILD)/sanitized && ctest -j $(JOBS) -L asan --output-on-failure
	@cd $(BUILD)/second && ctest -j $(JOBS) -L second --output-on-failure
	@cd $(BUILD) && ctest -j $(JOBS) --output-on-failure

# Longer: everything in every tree, more random programs, tiny arenas, an allocation that fails at every place in turn.
test-nightly: test
	$(call build_tree,$(BUILD)/stress,-DATTNC_SANITIZE=ON -DATTNC_STRESS=ON -DATTNC_FAULTS=ON)
	@cd $(BUILD)/second && ATTNC_LONG=1 ctest -j $(JOBS) -L second --output-on-failure
	@cd $(BUILD)/stress && ATTNC_LONG=1 ATTNC_RANDOM_PROGRAMS=3000 ctest -j $(JOBS) -L asan --output-on-failure

# Kernels against the multiply-add peak of this machine. bench/README.md says how to read it.
bench-kernels: build
	@bench/run.sh $(BUILD)

# Against PyTorch, JAX, OpenBLAS and oneDNN: ARGS="--only W1 --quick" and the like. bench/README.md says how to read it.
bench: bench-deps build
	@bench/install.sh $(BUILD)
	@$(BUILD)/bench/venv/bin/python bench/peers --build $(BUILD) $(ARGS)

install: build
	@$(CMAKE) --install $(BUILD) --prefix $(PREFIX)

clean:
	rm -rf $(BUILD)
