# Packages by name, without a file for each image: a shell, its tools, certificates, and GNU hello.
{ pkgs, strata }:
strata.fromName { name = "shell/hello"; }
