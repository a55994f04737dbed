{
  description = "A package set that looks like nixpkgs to Strata and needs no network";

  outputs =
    { self }:
    {
      lib = import ./lib.nix;
      # Its programs run on the first alone; the others are there to be evaluated, as `nix flake check` does.
      legacyPackages = (import ./lib.nix).genAttrs [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ] (system: import ./. { inherit system; });
    };
}
