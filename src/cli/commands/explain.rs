//! `strata explain IMAGE`: the plan of its layers.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::HumanBytes;
use serde_json::{Value, json};

use crate::cli::failure::Failure;
use crate::cli::printer::Printer;
use strata_error::{Error, Result};
use strata_layer::{ImagesFile, LayerRecord, LayersFile};
use strata_oci::Digest;
use strata_plan::strategy::{Graph, Node};
use strata_plan::{Updates, main_packages, roots};

const HELP: &str = "\
Example: strata explain result
One path: strata explain result --why openssl
What another image shares: strata explain result --beside ../other/result";

/// Tell why the layers of an image are as they are, and what updates send again
#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct ExplainArgs {
    /// The image: the output of its derivation, or a link to it such as `result`
    image: PathBuf,

    /// Only the layers with this store path, or with packages whose names have this in them, and what needs those
    #[arg(long, value_name = "PATH")]
    why: Option<String>,

    /// Also which layers this other image has, too; may be given several times
    #[arg(long, value_name = "IMAGE")]
    beside: Vec<PathBuf>,

    /// Answer in JSON; docs/cli.md describes it
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(arguments: &ExplainArgs, printer: &Printer) -> Result<(), Failure> {
    let beside = arguments.beside.iter().map(|path| Beside::read(path));
    let beside: Vec<Beside> = beside.collect::<Result<_>>()?;
    let mut answers = Vec::new();
    let mut text = String::new();
    for file in files(&arguments.image)? {
        let plan = ImagePlan::new(&file)?;
        if let Some(wanted) = &arguments.why {
            let found = plan.find(wanted);
            if found.is_empty() {
                return Err(not_there(wanted, &arguments.image).into());
            }
            answers.extend(found.iter().map(|path| plan.describe_path(*path)));
            for path in found {
                plan.tell_path(path, &mut text);
            }
        } else {
            answers.push(plan.describe(&beside));
            plan.tell(&beside, &mut text);
        }
    }
    if arguments.json {
        let value = match (arguments.why.is_some(), answers.len()) {
            (false, 1) => answers.remove(0),
            _ => Value::Array(answers),
        };
        return printer.data(&format!("{value:#}\n"));
    }
    printer.data(&text)
}

/// The layers of an image, or of each image of an index.
fn files(output: &Path) -> Result<Vec<LayersFile>> {
    if !ImagesFile::is_in(output) {
        return Ok(vec![LayersFile::read(output)?]);
    }
    let images = ImagesFile::read(output)?.images;
    images
        .iter()
        .map(|image| LayersFile::read(Path::new(image)))
        .collect()
}

fn not_there(wanted: &str, image: &Path) -> Error {
    Error::Document {
        document: image.display().to_string(),
        message: format!("no store path of its layers has {wanted:?} in its name"),
        hint: "give a store path of the image or a part of a package's name; `strata inspect` lists them".into(),
    }
}

/// Another image.
struct Beside {
    name: String,
    layers: BTreeSet<Digest>,
}

impl Beside {
    fn read(output: &Path) -> Result<Self> {
        let files = files(output)?;
        let layers = files.iter().flat_map(|file| &file.layers);
        Ok(Self {
            name: output.display().to_string(),
            layers: layers.map(|layer| layer.digest).collect(),
        })
    }

    /// The layers that both have, by number, and their bytes.
    fn shared(&self, layers: &[LayerRecord]) -> (Vec<usize>, u64) {
        let shared = |(_, layer): &(usize, &LayerRecord)| self.layers.contains(&layer.digest);
        let shared: Vec<_> = layers.iter().enumerate().filter(shared).collect();
        let numbers = shared.iter().map(|(number, _)| number + 1).collect();
        (numbers, shared.iter().map(|(_, layer)| layer.size).sum())
    }
}

/// An image's layers with the graph of what is in them.
struct ImagePlan<'a> {
    file: &'a LayersFile,
    graph: Graph,
    /// The numbers of the paths of each layer, ascending.
    paths: Vec<Vec<u32>>,
    updates: Updates,
}

impl<'a> ImagePlan<'a> {
    fn new(file: &'a LayersFile) -> Result<Self> {
        let sources = || file.layers.iter().flat_map(|layer| &layer.recipe.sources);
        let there: BTreeSet<&str> = sources().map(|source| source.store_path.as_str()).collect();
        let mut seen = BTreeSet::new();
        let mut nodes = Vec::new();
        for source in sources().filter(|source| seen.insert(&source.store_path)) {
            // What `ignore` left out is mentioned and not there.
            let references = source
                .references
                .iter()
                .filter(|path| there.contains(&***path));
            nodes.push(Node {
                path: source.store_path.as_str().into(),
                size: source.nar_size,
                references: references.map(|path| (&**path).into()).collect(),
            });
        }
        let graph = Graph::new(nodes).map_err(|_| Error::Document {
            document: strata_layer::LAYERS_FILE.into(),
            // Each is there once, and what is not there was left out above.
            message: "has too many store paths".into(),
            hint: "rebuild the image".into(),
        })?;
        let paths_of = |layer: &LayerRecord| {
            let sources = layer.recipe.sources.iter();
            let paths: BTreeSet<u32> = sources
                .filter_map(|source| graph.find(&source.store_path))
                .collect();
            Vec::from_iter(paths)
        };
        let paths: Vec<Vec<u32>> = file.layers.iter().map(paths_of).collect();
        let at_root = sources().filter(|source| source.to_root);
        let at_root: Vec<u32> = at_root
            .filter_map(|source| graph.find(&source.store_path))
            .collect();
        Ok(Self {
            file,
            updates: Updates::new(&graph, &paths, &roots(&graph, &at_root)),
            paths,
            graph,
        })
    }

    /// The paths that are meant, by their numbers.
    fn find(&self, wanted: &str) -> Vec<u32> {
        match self.graph.find(wanted) {
            Some(path) => vec![path],
            None => self
                .graph
                .all()
                .filter(|path| self.graph.name(*path).contains(wanted))
                .collect(),
        }
    }

    fn describe(&self, beside: &[Beside]) -> Value {
        let layers = self.file.layers.iter().zip(&self.paths).map(|(layer, paths)| {
            json!({
                "diffId": layer.digest,
                "size": layer.size,
                "storePaths": paths.iter().map(|path| self.graph.path(*path)).collect::<Vec<_>>(),
                "reason": layer.reason,
            })
        });
        let beside = beside.iter().map(|other| {
            let (layers, size) = other.shared(&self.file.layers);
            json!({ "image": other.name, "layers": layers, "size": size })
        });
        let foundation = self
            .updates
            .foundation
            .map(|(path, bytes)| json!({ "storePath": self.graph.path(path), "size": bytes }));
        json!({
            "baseLayers": self.file.base.len(),
            "layers": layers.collect::<Vec<_>>(),
            "sentAgain": {
                "edit": self.updates.edit,
                "package": self.updates.package,
                "foundation": foundation,
            },
            "beside": beside.collect::<Vec<_>>(),
        })
    }

    fn tell(&self, beside: &[Beside], text: &mut String) {
        // Writing to a String cannot fail.
        if let Some(name) = &self.file.image {
            let _ = writeln!(text, "{}:{}", name.name, name.tag);
        }
        if !self.file.base.is_empty() {
            let _ = writeln!(
                text,
                "on {} layers of a base image, which stay as they are",
                self.file.base.len()
            );
        }
        for (number, layer) in self.file.layers.iter().enumerate() {
            let packages = main_packages(&layer.recipe.sources);
            let size = HumanBytes(layer.size).to_string();
            let _ = writeln!(text, "\nlayer {:<3} {size:>12}  {packages}", number + 1);
            if let Some(reason) = &layer.reason {
                let _ = writeln!(text, "{:24}{reason}", "");
            }
        }
        let mut row = |what: &str, bytes: u64| {
            let _ = writeln!(text, "{:>12}  after {what}", HumanBytes(bytes).to_string());
        };
        row("an edit of the application", self.updates.edit);
        row("an update of one package, on average", self.updates.package);
        if let Some((path, bytes)) = self.updates.foundation {
            row(
                &format!(
                    "an update of {}, which most others need",
                    self.graph.name(path)
                ),
                bytes,
            );
        }
        for other in beside {
            let (layers, size) = other.shared(&self.file.layers);
            let all = self.file.layers.len();
            let size = HumanBytes(size);
            let _ = writeln!(
                text,
                "{} has {} of the {all} layers, too: {size}",
                other.name,
                layers.len()
            );
        }
    }

    fn layer_of(&self, path: u32) -> Option<usize> {
        self.paths
            .iter()
            .position(|paths| paths.binary_search(&path).is_ok())
    }

    fn describe_path(&self, path: u32) -> Value {
        let layer = self.layer_of(path);
        let users = self
            .graph
            .users(path)
            .iter()
            .map(|user| self.graph.path(*user));
        json!({
            "storePath": self.graph.path(path),
            "size": self.graph.size(path),
            "layer": layer.map(|layer| layer + 1),
            "reason": layer.and_then(|layer| self.file.layers[layer].reason.as_ref()),
            "neededBy": users.collect::<Vec<_>>(),
        })
    }

    fn tell_path(&self, path: u32, text: &mut String) {
        let size = HumanBytes(self.graph.size(path));
        let _ = writeln!(text, "{}  {size}", self.graph.path(path));
        if let Some(layer) = self.layer_of(path) {
            let reason = self.file.layers[layer].reason.as_deref();
            let reason = reason.unwrap_or("said by nobody: it was made before there were reasons");
            let _ = writeln!(text, "  in layer {}: {reason}", layer + 1);
        }
        match self.graph.users(path) {
            [] => {
                let _ = writeln!(
                    text,
                    "  nothing else in the image needs it: the arguments name it"
                );
            }
            users => {
                for user in users {
                    let _ = writeln!(text, "  needed by {}", self.graph.path(*user));
                }
            }
        }
    }
}
