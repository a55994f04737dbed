# Whether every output of the flake evaluates for all systems, as `nix flake check` does it; older
# versions of Nix do so on every machine. The value is the list of what failed:
# nix eval --impure --expr 'import ./tests/nix/systems.nix { nixpkgs = ..; }'
{
  # A flake in the shape of nixpkgs, with all of these systems.
  nixpkgs,
}:
let
  inherit (nixpkgs) lib;

  self = (import ../../flake.nix).outputs { inherit self nixpkgs; };

  linux = [
    "x86_64-linux"
    "aarch64-linux"
  ];
  darwin = [
    "x86_64-darwin"
    "aarch64-darwin"
  ];

  evaluates = value: (builtins.tryEval (builtins.seq value.drvPath true)).success;
  failing =
    output: systems:
    lib.concatMap (
      system:
      let
        derivations = self.${output}.${system};
      in
      map (name: "${output}.${system}.${name} does not evaluate") (
        lib.filter (name: !evaluates derivations.${name}) (lib.attrNames derivations)
      )
    ) systems;
  # What stands at the same place for every system.
  expect =
    what: actual: expected:
    lib.optional (
      actual != expected
    ) "${what}: expected ${builtins.toJSON expected}, got ${builtins.toJSON actual}";
  countOf = output: map (system: lib.length (lib.attrNames self.${output}.${system}));
  examples = system: self.legacyPackages.${system}.examples;
  exampleCount = lib.length (lib.attrNames (examples "x86_64-linux"));
in
failing "packages" (linux ++ darwin)
++ failing "checks" (linux ++ darwin)
++ expect "functions" (map (system: self.lib.${system} ? buildImage) (linux ++ darwin)) [
  true
  true
  true
  true
]
# The tests of evaluation, and every example.
++ expect "checks" (countOf "checks" (linux ++ darwin)) [
  (exampleCount + 1)
  (exampleCount + 1)
  0
  0
]
++ expect "examples on Linux" (lib.filter (
  system: !lib.all evaluates (lib.attrValues (examples system))
) linux) [ ]
# They say what to do there, and nobody evaluates them unasked.
++ expect "an example on Darwin" (map (system: evaluates (examples system).hello) darwin) [
  false
  false
]
