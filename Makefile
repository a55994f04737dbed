# make demo    build an image with Nix, copy it, run it
# make test    every test
# make stress  copies at once and copies that are killed, again and again
# make bench   how fast layers are digested and copied
# make docs    the book, with its links checked
# make fmt     format Rust and Nix
# make lint    formatting, clippy, shellcheck
# make build   the binaries, and the package set that stands for nixpkgs here
#
# What is missing is installed from Debian packages when root runs this, and named otherwise.

.PHONY: demo test stress bench docs fmt lint build

demo:
	@scripts/setup demo
	@scripts/build
	@scripts/demo

test:
	@scripts/setup test
	@scripts/build
	@scripts/test

stress:
	@scripts/setup test
	@scripts/stress

bench:
	@scripts/setup test
	@scripts/bench

docs:
	@scripts/docs

fmt:
	@scripts/setup lint
	@scripts/format

lint:
	@scripts/setup lint
	@scripts/format --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	shellcheck scripts/* .ci/run

build:
	@scripts/setup demo
	@scripts/build
