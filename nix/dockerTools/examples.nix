{ pkgs, tools, dockerTools }: { }
