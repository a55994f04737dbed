/**
  The types of the arguments of `streamLayeredImage` and what is made from it.
*/
{ types, layering }:
{
  types = with types; {
    name = string;
    tag = orNull string;
    fromImage = orNull base;
    contents = orNull paths;
    config = orNull attributes;
    architecture = string;
    created = string;
    mtime = string;
    uid = number;
    gid = number;
    uname = string;
    gname = string;
    maxLayers = number;
    extraCommands = string;
    fakeRootCommands = string;
    enableFakechroot = boolean;
    includeStorePaths = boolean;
    includeNixDB = boolean;
    passthru = attributes;
    meta = attributes;
    debug = boolean;
    inheritConfig = fieldNames;
    inherit files;
    compressor = string;
    inherit (layering.types)
      strategy
      layerHints
      previousLayers
      alongside
      layersFile
      layeringPipeline
      ;
  };

  # Those of `streamNixShellImage`.
  shellTypes = with types; {
    drv = package;
    name = string;
    tag = orNull string;
    uid = number;
    gid = number;
    homeDirectory = string;
    shell = string;
    command = orNull string;
    run = orNull string;
    entrypoint = boolean;
    compressor = string;
  };

  # Those of `buildImage`, `mkPureLayer` and `mkRootLayer`.
  layerTypes = with types; {
    copyToRoot = orNull paths;
    keepContentsDirlinks = boolean;
    fromImageName = orNull string;
    fromImageTag = orNull string;
    runAsRoot = orNull string;
    baseJson = path;
    diskSize = number;
    buildVMMemorySize = number;
    useVM = boolean;
  };

  refused = {
    copyToRoot = "it is called `contents` here, and its files are linked, not copied";
    diskSize = "leave it out: there is no disk";
    keepContentsDirlinks = "leave it out: symlinks in `contents` always stay";
    runAsRoot = "say `fakeRootCommands`, with `enableFakechroot = true`";
  };
}
