//! Ownership rules, with the meaning of nix2container's `perms`.
//!
//! A rule is about one store path. Its regular expression is searched in the full source path of
//! each file, `/nix/store/<hash>-<name>/sub/file`. The last matching rule wins, field by field. One about a path of
//! the image is about every store path at the root, and searched in the paths that files have there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use super::capabilities;
use super::path::ImagePath;
use strata_archive::{Metadata, Mode};

/// What a rule matches and sets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Searched in the full source path; empty matches everything.
    #[serde(default)]
    pub regex: String,
    /// Matches only what is at or below this path in the image, and is searched in paths in the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<ImagePath>,
    /// The permission bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Permission bits to add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub or_mode: Option<Mode>,
    /// The permission bits of directories alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory_mode: Option<Mode>,
    /// The owner's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u64>,
    /// The group's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u64>,
    /// The owner's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uname: Option<String>,
    /// The group's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gname: Option<String>,
    /// Capabilities of regular files, as in `CAP_NET_BIND_SERVICE` or `cap_net_raw+ep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
    /// Extended attributes of files and directories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xattrs: Option<BTreeMap<String, String>>,
}

/// The namespaces of extended attributes (xattr(7)).
const NAMESPACES: [&str; 4] = ["user.", "trusted.", "security.", "system."];

impl Rule {
    /// What is wrong with the rule, as the name of the field and a message.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        Regex::new(&self.regex)
            .map_err(|error| ("regex", format!("{:?}: {}", self.regex, reason(&error))))?;
        if let Some(names) = &self.capabilities {
            capabilities::encode(names).map_err(|message| ("capabilities", message))?;
        }
        for (field, number) in [("uid", self.uid), ("gid", self.gid)] {
            // The last number means "no change" to chown(2).
            if number.is_some_and(|number| number >= u64::from(u32::MAX)) {
                return Err((field, "is larger than Linux allows".to_owned()));
            }
        }
        for (field, name) in [("uname", &self.uname), ("gname", &self.gname)] {
            if name
                .as_ref()
                .is_some_and(|name| name.contains([':', '\n', '\0']))
            {
                return Err((
                    field,
                    "has a colon, a line break or a null in it".to_owned(),
                ));
            }
        }
        let names = self.xattrs.iter().flat_map(BTreeMap::keys);
        if names
            .clone()
            .any(|name| name.is_empty() || name.contains(['=', '\0']))
        {
            return Err((
                "xattrs",
                "an attribute's name is empty or has = in it".to_owned(),
            ));
        }
        let is_known = |name: &String| NAMESPACES.iter().any(|known| name.starts_with(known));
        if let Some(name) = names.clone().find(|name| !is_known(name)) {
            let known = NAMESPACES.join(", ");
            let message = format!("{name:?} begins with none of {known}, and Linux has no others");
            return Err(("xattrs", message));
        }
        Ok(())
    }
}

/// The name that goes with a number: only root's is known.
fn name_of(number: u64) -> String {
    let name = if number == 0 { "root" } else { "" };
    name.to_owned()
}

/// What kind of entry a rule is applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryType {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symlink.
    Symlink,
}

/// What the rules that match a path set, together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    mode: Option<Mode>,
    or_mode: Option<Mode>,
    directory_mode: Option<Mode>,
    uid: Option<u64>,
    gid: Option<u64>,
    uname: Option<String>,
    gname: Option<String>,
    xattrs: BTreeMap<String, Vec<u8>>,
}

impl Changes {
    /// What one rule sets, whatever it matches.
    pub(super) fn of(rule: &Rule) -> Self {
        let mut changes = Self::default();
        changes.add(rule);
        changes
    }

    /// The metadata of an entry that has `mode` when no rule is about it.
    pub fn apply(&self, mode: Mode, kind: EntryType) -> Metadata {
        self.apply_to(Metadata::root(mode), kind)
    }

    /// The metadata of an entry that has `metadata` when no rule is about it.
    pub fn apply_to(&self, mut metadata: Metadata, kind: EntryType) -> Metadata {
        if kind != EntryType::Symlink {
            let of_directory = self.directory_mode.filter(|_| kind == EntryType::Directory);
            metadata.mode = of_directory.or(self.mode).unwrap_or(metadata.mode);
            if let Some(bits) = self.or_mode {
                metadata.mode = metadata.mode.with(bits);
            }
            metadata.xattrs.extend(self.xattrs.clone());
        }
        if kind == EntryType::Directory {
            metadata.xattrs.remove(capabilities::ATTRIBUTE);
        }
        // GNU tar prefers names to numbers, so another number must not keep the name root.
        if let Some(uid) = self.uid.filter(|uid| *uid != metadata.uid) {
            metadata.uid = uid;
            metadata.uname = name_of(uid);
        }
        if let Some(gid) = self.gid.filter(|gid| *gid != metadata.gid) {
            metadata.gid = gid;
            metadata.gname = name_of(gid);
        }
        if let Some(uname) = &self.uname {
            metadata.uname.clone_from(uname);
        }
        if let Some(gname) = &self.gname {
            metadata.gname.clone_from(gname);
        }
        metadata
    }

    /// Adds what rules about another source of the same directory set; the error is the field
    /// about which they disagree.
    pub fn merge(&mut self, other: &Self) -> Result<(), &'static str> {
        fn field<T: Clone + PartialEq>(
            name: &'static str,
            mine: &mut Option<T>,
            theirs: Option<&T>,
        ) -> Result<(), &'static str> {
            match (mine.as_ref(), theirs) {
                (Some(mine), Some(theirs)) if mine != theirs => Err(name),
                (None, Some(theirs)) => {
                    *mine = Some(theirs.clone());
                    Ok(())
                }
                _ => Ok(()),
            }
        }
        field("mode", &mut self.mode, other.mode.as_ref())?;
        field("mode", &mut self.or_mode, other.or_mode.as_ref())?;
        field(
            "mode",
            &mut self.directory_mode,
            other.directory_mode.as_ref(),
        )?;
        field("uid", &mut self.uid, other.uid.as_ref())?;
        field("gid", &mut self.gid, other.gid.as_ref())?;
        field("uname", &mut self.uname, other.uname.as_ref())?;
        field("gname", &mut self.gname, other.gname.as_ref())?;
        for (name, value) in &other.xattrs {
            if self
                .xattrs
                .insert(name.clone(), value.clone())
                .is_some_and(|mine| mine != *value)
            {
                return Err("xattrs");
            }
        }
        Ok(())
    }

    fn add(&mut self, rule: &Rule) {
        if let Some(mode) = rule.mode {
            (self.mode, self.or_mode, self.directory_mode) = (Some(mode), None, None);
        }
        self.directory_mode = rule.directory_mode.or(self.directory_mode);
        if let Some(bits) = rule.or_mode {
            self.or_mode = Some(self.or_mode.map_or(bits, |mine| mine.with(bits)));
        }
        self.uid = rule.uid.or(self.uid);
        self.gid = rule.gid.or(self.gid);
        self.uname = rule.uname.clone().or(self.uname.take());
        self.gname = rule.gname.clone().or(self.gname.take());
        for (name, value) in rule.xattrs.iter().flatten() {
            self.xattrs.insert(name.clone(), value.clone().into_bytes());
        }
        match &rule.capabilities {
            // Even an attribute without capabilities takes its power from a setuid program.
            Some(names) if names.is_empty() => {
                self.xattrs.remove(capabilities::ATTRIBUTE);
            }
            Some(names) => {
                if let Ok(value) = capabilities::encode(names) {
                    let name = capabilities::ATTRIBUTE.to_owned();
                    self.xattrs.insert(name, value);
                }
            }
            None => {}
        }
    }
}

/// The rules about one store path, ready to be applied to its files.
#[derive(Default)]
pub struct CompiledRules {
    /// How long the path of the source is.
    source: usize,
    rules: Vec<(Regex, Rule, AtomicBool)>,
}

impl CompiledRules {
    /// Compiles rules about the source at the full path `source`; the error is the regular expression's.
    pub fn new(source: &str, rules: &[Rule]) -> Result<Self, regex::Error> {
        let rules = rules
            .iter()
            .map(|rule| {
                Ok((
                    Regex::new(&rule.regex)?,
                    rule.clone(),
                    AtomicBool::new(false),
                ))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            source: source.len(),
            rules,
        })
    }

    /// What the rules set for the file at the full path `source`, which counts as matched.
    pub fn changes(&self, source: &[u8]) -> Changes {
        let mut changes = Changes::default();
        for (regex, rule, matched) in &self.rules {
            if self.is_match(regex, rule, source) {
                matched.store(true, Ordering::Relaxed);
                changes.add(rule);
            }
        }
        changes
    }

    fn is_match(&self, regex: &Regex, rule: &Rule, source: &[u8]) -> bool {
        let Some(within) = &rule.within else {
            return regex.is_match(source);
        };
        let path = source.get(self.source..).unwrap_or_default();
        let relative = path.strip_prefix(b"/").unwrap_or(path);
        ImagePath(relative.to_vec()).is_below(within) && regex.is_match(path)
    }

    /// Whether there are no rules, so that source paths need not be spelled out.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules that have matched nothing so far.
    pub fn unmatched(&self) -> impl Iterator<Item = &Rule> {
        self.rules
            .iter()
            .filter(|(_, _, matched)| !matched.load(Ordering::Relaxed))
            .map(|(_, rule, _)| rule)
    }

    /// The rules about the source whose expressions are found in `source`, in their order. They do not count as
    /// matched.
    pub fn find<'a>(&'a self, source: &[u8]) -> impl Iterator<Item = &'a Rule> {
        self.rules
            .iter()
            .filter(move |(regex, rule, _)| rule.within.is_none() && regex.is_match(source))
            .map(|(_, rule, _)| rule)
    }
}

/// What is wrong with a regular expression: the last line of what shows the place on several.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(regex: &str, edit: impl FnOnce(&mut Rule)) -> Rule {
        let mut rule = Rule {
            regex: regex.to_owned(),
            ..Rule::default()
        };
        edit(&mut rule);
        rule
    }

    fn mode(text: &str) -> Option<Mode> {
        text.parse().ok()
    }

    #[test]
    fn the_last_match_wins_field_by_field() {
        let rules = CompiledRules::new(
            "",
            &[
                rule("", |rule| (rule.mode, rule.uid) = (mode("0700"), Some(7))),
                rule("/tmp$", |rule| rule.mode = mode("1777")),
                rule("nothing", |rule| rule.uid = Some(9)),
            ],
        )
        .unwrap();
        let metadata = rules
            .changes(b"/nix/store/h-n/tmp")
            .apply(Mode::DIRECTORY, EntryType::Directory);
        assert_eq!((metadata.mode.bits(), metadata.uid), (0o1777, 7));
        assert_eq!(
            (metadata.uname.as_str(), metadata.gname.as_str()),
            ("", "root")
        );
        assert_eq!(
            rules.unmatched().map(|rule| rule.uid).collect::<Vec<_>>(),
            [Some(9)]
        );
    }

    /// Issue 11: a `path` outside the store names a path of the image.
    #[test]
    fn rules_about_the_image_match_at_and_below_their_path() {
        let within = |regex: &str, path: &str| {
            let mut rule = rule(regex, |rule| rule.uid = Some(7));
            rule.within = Some(ImagePath::from(path));
            CompiledRules::new("/nix/store/h-tmp", &[rule]).unwrap()
        };
        for (regex, path, source, matches) in [
            (".*", "/tmp", "/nix/store/h-tmp/tmp", true),
            ("", "/tmp", "/nix/store/h-tmp/tmp/a/b", true),
            ("", "/tmp", "/nix/store/h-tmp/tmpfile", false),
            ("", "/tmp", "/nix/store/h-tmp/var/tmp", false),
            ("", "/tmp", "/nix/store/h-tmp", false),
            ("^/tmp/a$", "/tmp", "/nix/store/h-tmp/tmp/a", true),
            ("store", "/tmp", "/nix/store/h-tmp/tmp/a", false),
            ("a$", "/", "/nix/store/h-tmp/tmp/a", true),
        ] {
            let rules = within(regex, path);
            let metadata = rules
                .changes(source.as_bytes())
                .apply(Mode::DIRECTORY, EntryType::Directory);
            assert_eq!(metadata.uid == 7, matches, "{regex} {path} {source}");
            assert_eq!(rules.unmatched().count(), usize::from(!matches));
        }
        assert_eq!(within("", "/").find(b"/nix/store/h-tmp").count(), 0);
    }

    #[test]
    fn or_mode_adds_to_what_is_there() {
        let add = rule("", |rule| rule.or_mode = mode("0200"));
        let set = rule("", |rule| rule.mode = mode("0440"));
        let both = rule("", |rule| {
            (rule.mode, rule.or_mode) = (mode("0444"), mode("0200"));
        });
        for (rules, result) in [
            (vec![add.clone()], 0o755),
            (vec![set.clone(), add.clone()], 0o640),
            (vec![add, set], 0o440),
            (vec![both], 0o644),
        ] {
            let metadata = CompiledRules::new("", &rules)
                .unwrap()
                .changes(b"x")
                .apply(Mode::of_file(true), EntryType::File);
            assert_eq!(metadata.mode.bits(), result);
        }
    }

    #[test]
    fn an_empty_list_of_capabilities_is_none() {
        let some = rule("", |rule| rule.capabilities = Some(vec!["bpf".to_owned()]));
        let none = rule("", |rule| rule.capabilities = Some(Vec::new()));
        for (rules, count) in [
            (vec![none.clone()], 0),
            (vec![some.clone(), none.clone()], 0),
            (vec![none, some], 1),
        ] {
            let changes = CompiledRules::new("", &rules).unwrap().changes(b"x");
            let metadata = changes.apply(Mode::of_file(true), EntryType::File);
            assert_eq!(metadata.xattrs.len(), count);
        }
    }

    #[test]
    fn symlinks_have_owners_but_no_mode() {
        let rules = CompiledRules::new(
            "",
            &[rule("", |rule| {
                (rule.mode, rule.gid) = (mode("0600"), Some(5));
                rule.xattrs = Some(BTreeMap::from([("user.a".to_owned(), "b".to_owned())]));
            })],
        )
        .unwrap();
        let metadata = rules.changes(b"x").apply(Mode::SYMLINK, EntryType::Symlink);
        assert_eq!((metadata.mode, metadata.gid), (Mode::SYMLINK, 5));
        assert!(metadata.xattrs.is_empty());
    }

    #[test]
    fn merging_fails_only_where_both_speak() {
        let changes = |uid, gid| Changes {
            uid,
            gid,
            ..Changes::default()
        };
        let mut mine = changes(Some(1), None);
        mine.merge(&changes(Some(1), Some(2))).unwrap();
        assert_eq!(mine, changes(Some(1), Some(2)));
        assert_eq!(mine.merge(&changes(None, Some(3))), Err("gid"));
    }

    #[test]
    fn wrong_rules_name_the_field() {
        for (field, wrong) in [
            ("regex", rule("(", |_| ())),
            ("uid", rule("", |rule| rule.uid = Some(4_294_967_295))),
            (
                "gname",
                rule("", |rule| rule.gname = Some("a:b".to_owned())),
            ),
            (
                "capabilities",
                rule("", |rule| {
                    rule.capabilities = Some(vec!["CAP_X".to_owned()]);
                }),
            ),
            (
                "xattrs",
                rule("", |rule| {
                    rule.xattrs = Some(BTreeMap::from([("a=".to_owned(), String::new())]));
                }),
            ),
        ] {
            assert_eq!(wrong.check().unwrap_err().0, field);
        }
    }
}
