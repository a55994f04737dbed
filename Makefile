# make demo    build an image with Nix, copy it, run it
# make test    every test
# make stress  copies and pulls at once, and copies that are killed, again and again
# make test-foreign  what both programs make on other processors, under qemu-user
# make test-newer  layers that clients fetch in parts, shown to the engines of Debian 13
# make test-docker-tools  the tests of dockerTools, in and out of the sandbox, as root and through a daemon
# make bench   how fast layers are digested and copied
# make bench-layering  how much updates send again, by how a closure is cut
# make docs    the book, with its links checked
# make fuzz    a minute of random input for each reader of what nobody checked
# make fmt     format Rust and Nix
# make check   formatting, clippy, shellcheck, spelling, and what the dependencies may be
# make build   the binaries, and the package set that stands for nixpkgs here
#
# What is missing is installed from Debian packages when root runs this, and named otherwise.

.PHONY: demo test test-foreign test-newer test-docker-tools stress bench bench-layering docs fuzz fmt check build

demo:
	@scripts/setup demo
	@scripts/build
	@scripts/demo

test:
	@scripts/setup test
	@scripts/check --code
	@scripts/build
	@scripts/test

stress:
	@scripts/setup test
	@scripts/stress

test-foreign:
	@scripts/setup foreign
	@scripts/build
	@scripts/test-foreign

test-newer:
	@scripts/setup newer
	@scripts/test-newer

test-docker-tools:
	@scripts/setup test
	@scripts/build
	@scripts/test-docker-tools

bench:
	@scripts/setup test
	@scripts/bench

bench-layering:
	@scripts/bench layering

docs:
	@scripts/docs

fuzz:
	@scripts/setup fuzz
	@scripts/fuzz

fmt:
	@scripts/setup check
	@scripts/format

check:
	@scripts/setup check
	@scripts/check

build:
	@scripts/setup demo
	@scripts/build
