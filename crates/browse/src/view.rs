//! What is drawn.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::state::{Cursor, Pane, Sort, State};
use super::tree::Row;
use strata_contents::{Amount, FoundKind};
use strata_error::visible_line;

/// Narrower terminals show one list at a time.
const NARROW: u16 = 60;
/// The width of the list of layers.
const LAYERS: u16 = 34;
/// The height of the way to a package.
const WAYS: u16 = 9;

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State) {
    let [head, middle, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(header(state, head.width), head);
    if frame.area().width < NARROW {
        match state.pane {
            Pane::Layers => layers(frame, state, middle),
            Pane::Things => things(frame, state, middle),
            Pane::Ways => ways(frame, state, middle),
        }
    } else {
        let below = WAYS.min(middle.height / 3);
        let [above, below] =
            Layout::vertical([Constraint::Min(3), Constraint::Length(below)]).areas(middle);
        let width = LAYERS.min(above.width / 2);
        let [left, right] =
            Layout::horizontal([Constraint::Length(width), Constraint::Min(10)]).areas(above);
        layers(frame, state, left);
        things(frame, state, right);
        ways(frame, state, below);
    }
    frame.render_widget(footer(state), foot);
}

fn header(state: &State, width: u16) -> Paragraph<'static> {
    let contents = &state.contents;
    let numbers = format!(
        "  {}, {} layers, {} packages",
        Amount(contents.size()),
        contents.layers.len(),
        contents.packages.len()
    );
    let room = usize::from(width).saturating_sub(numbers.chars().count());
    let name = cut(&visible_line(&state.name), room.max(8));
    Paragraph::new(Line::from(vec![
        Span::styled(name, Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(numbers),
    ]))
}

fn footer(state: &State) -> Paragraph<'static> {
    let text = if state.is_typing {
        format!("/{}_", visible_line(&state.search))
    } else if !state.message.is_empty() {
        visible_line(&state.message).into_owned()
    } else if state.search.is_empty() {
        "q end  Tab list  s sort  / search  f files  Enter open".to_owned()
    } else {
        format!(
            "only what has {:?} in it; Esc shows all",
            visible_line(&state.search)
        )
    };
    Paragraph::new(text).style(Style::new().add_modifier(Modifier::DIM))
}

/// A list in a frame of its own; gives the rows that are seen.
fn list(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    is_active: bool,
    cursor: &mut Cursor,
    count: usize,
    row: &dyn Fn(usize, usize) -> Line<'static>,
) {
    let style = if is_active {
        Style::new().add_modifier(Modifier::BOLD)
    } else {
        Style::new().add_modifier(Modifier::DIM)
    };
    let block = Block::bordered()
        .border_style(style)
        .title(Span::styled(title.to_owned(), style));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let (width, height) = (usize::from(inner.width), usize::from(inner.height));
    cursor.show(height, count);
    let shown = (cursor.top..count).take(height).map(|number| {
        let line = row(number, width);
        if number != cursor.chosen {
            return line;
        }
        let style = if is_active {
            Style::new().add_modifier(Modifier::REVERSED)
        } else {
            Style::new().add_modifier(Modifier::UNDERLINED)
        };
        line.style(style)
    });
    let lines: Vec<Line<'_>> = shown.collect();
    frame.render_widget(Paragraph::new(lines), inner);
}

fn layers(frame: &mut Frame<'_>, state: &mut State, area: Rect) {
    let contents = &state.contents;
    let row = |number: usize, width: usize| {
        let (name, size, what) = match number.checked_sub(1) {
            None => (String::new(), contents.size(), "all layers".to_owned()),
            Some(layer) => {
                let size = contents.layers[layer].size;
                (number.to_string(), size, contents.what(layer))
            }
        };
        let line = format!(
            "{name:>3} {:>10} {}",
            Amount(size).to_string(),
            visible_line(&what)
        );
        Line::from(padded(&line, width))
    };
    let count = contents.layers.len() + 1;
    let is_active = state.pane == Pane::Layers;
    list(
        frame,
        area,
        " Layers ",
        is_active,
        &mut state.layers,
        count,
        &row,
    );
}

fn things(frame: &mut Frame<'_>, state: &mut State, area: Rect) {
    let is_active = state.pane == Pane::Things;
    let count = state.thing_count();
    let State {
        contents,
        sizes,
        packages,
        files,
        things,
        sort,
        ..
    } = state;
    if let Some(tree) = files {
        let rows = tree.rows();
        let row = |number: usize, width: usize| Line::from(padded(&file(&rows[number]), width));
        return list(frame, area, " Files ", is_active, things, count, &row);
    }
    let title = match sort {
        Sort::Exclusive => " Packages: own, and what goes with it ",
        Sort::Size => " Packages, by own size ",
        Sort::Name => " Packages, by name ",
    };
    let row = |number: usize, width: usize| {
        let package = contents.package(packages[number]);
        let line = format!(
            "{:>10} {:>10} {}",
            Amount(package.size).to_string(),
            Amount(sizes.exclusive(packages[number])).to_string(),
            visible_line(package.full_name())
        );
        Line::from(padded(&line, width))
    };
    list(frame, area, title, is_active, things, count, &row);
}

/// A file, below its directory.
fn file(row: &Row) -> String {
    let name = row.path.rsplit('/').next().unwrap_or_default();
    let mark = match (&row.kind, row.is_open) {
        (FoundKind::Directory, true) => "▾ ",
        (FoundKind::Directory, false) => "▸ ",
        _ => "  ",
    };
    let more = match &row.kind {
        FoundKind::Symlink(target) => format!(" -> {target}"),
        FoundKind::HardLink(target) => format!(" = /{target}"),
        FoundKind::Whiteout => " (hidden)".to_owned(),
        FoundKind::Opaque => " (all below it is hidden)".to_owned(),
        FoundKind::Directory => "/".to_owned(),
        FoundKind::File | FoundKind::Special => String::new(),
    };
    let line = format!(
        "{:>10} {}{mark}{name}{more}",
        Amount(row.size).to_string(),
        "  ".repeat(row.depth)
    );
    visible_line(&line).into_owned()
}

fn ways(frame: &mut Frame<'_>, state: &mut State, area: Rect) {
    let contents = &state.contents;
    let title = match (state.way_count, state.way.first()) {
        (_, None) => " Why ".to_owned(),
        (count, Some(root)) => {
            let arguments: Vec<&str> = contents.arguments(*root).collect();
            let named = match arguments.as_slice() {
                [] => "named by the arguments".to_owned(),
                arguments => format!("named by {}", arguments.join(", ")),
            };
            let ways = match count {
                0 | 1 => "one way".to_owned(),
                u64::MAX => "the shortest of very many ways".to_owned(),
                count => format!("the shortest of {count} ways"),
            };
            let title = format!(" Why: {named}, {ways} ");
            cut(
                &visible_line(&title),
                usize::from(area.width).saturating_sub(2),
            )
        }
    };
    let way = &state.way;
    let row = |number: usize, width: usize| {
        let package = contents.package(way[number]);
        let indent = "  ".repeat(number);
        let line = format!(
            "{indent}{}  {}",
            visible_line(package.full_name()),
            Amount(package.size)
        );
        Line::from(padded(&line, width))
    };
    let is_active = state.pane == Pane::Ways;
    let count = way.len();
    list(frame, area, &title, is_active, &mut state.ways, count, &row);
}

/// A text of at most so many characters.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// A text of exactly so many characters.
fn padded(text: &str, width: usize) -> String {
    format!("{:<width$}", cut(text, width))
}

#[cfg(test)]
mod tests {
    use super::super::state::Key;
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use strata_contents::{Contents, FoundFile, FoundLayer, FoundPackage, Named, References};
    use strata_oci::Digest;

    fn path(name: &str) -> String {
        format!("/nix/store/{}-{name}", "0".repeat(32))
    }

    fn state() -> State {
        let package = |name: &str, size: u64, references: &[&str]| FoundPackage {
            path: path(name),
            size,
            nar_hash: None,
            references: References::Recorded(references.iter().map(|it| path(it)).collect()),
            to_root: false,
        };
        let layer = |name: &str, packages: Vec<FoundPackage>| FoundLayer {
            digest: Digest::of(name.as_bytes()),
            diff_id: Digest::of(name.as_bytes()),
            media_type: String::new(),
            size: packages.iter().map(|it| it.size).sum(),
            created_by: Some(format!("strata: {name}")),
            reason: None,
            is_base: false,
            packages,
            files: Some(vec![FoundFile {
                path: format!("etc/{name}"),
                kind: FoundKind::File,
                size: 7,
                mode: 0o644,
                uid: 0,
                gid: 0,
                content: None,
            }]),
        };
        let named = Named {
            argument: "config.Cmd".to_owned(),
            path: path("app-1"),
        };
        let layers = vec![
            layer("libc", vec![package("libc-2.35", 30 << 20, &[])]),
            layer("app", vec![package("app-1", 1 << 20, &["libc-2.35"])]),
        ];
        State::new(
            "hello:1".to_owned(),
            Contents::new(layers, &[named]).unwrap(),
        )
    }

    fn screen(state: &mut State, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn a_wide_terminal_shows_layers_packages_and_the_way() {
        let mut state = state();
        let text = screen(&mut state, 80, 24);
        for words in [
            "hello:1  31.00 MiB, 2 layers, 2 packages",
            "all layers",
            "app-1",
            "Why: named by config.Cmd, one way",
            "q end",
        ] {
            assert!(text.contains(words), "{words} is not in:\n{text}");
        }
        // The layer of the library alone.
        state.press(Key::Down);
        state.press(Key::Next);
        assert_eq!(state.packages.len(), 1);
        let text = screen(&mut state, 80, 24);
        assert!(text.contains("  libc-2.35  30.00 MiB"), "{text}");
    }

    #[test]
    fn a_narrow_terminal_shows_one_list() {
        let mut state = state();
        let text = screen(&mut state, 40, 12);
        assert!(
            text.contains("Layers") && !text.contains("Packages"),
            "{text}"
        );
        state.press(Key::Next);
        let text = screen(&mut state, 40, 12);
        assert!(
            text.contains("Packages") && !text.contains("Layers"),
            "{text}"
        );
        // Nothing is too small to be drawn.
        for size in [(1, 1), (5, 2), (61, 4)] {
            screen(&mut state, size.0, size.1);
        }
    }

    #[test]
    fn files_are_a_tree() {
        let mut state = state();
        let contents = state.contents.clone();
        state.show_files(contents);
        assert_eq!(state.thing_count(), 2);
        state.press(Key::Down);
        state.press(Key::Enter);
        let text = screen(&mut state, 80, 24);
        assert!(text.contains("▾ etc/") && text.contains("app"), "{text}");
        assert_eq!(state.thing_count(), 4);
        state.press(Key::Left);
        assert_eq!(state.thing_count(), 2);
    }

    #[test]
    fn what_is_searched_for_is_left() {
        let mut state = state();
        for key in ['/', 'l', 'i', 'b'] {
            state.press(Key::Character(key));
        }
        assert_eq!(state.packages.len(), 1);
        state.press(Key::Enter);
        // From the way to what needs it, among all again.
        state.press(Key::Next);
        state.press(Key::Enter);
        assert_eq!(state.packages.len(), 2);
        let chosen = state.package().unwrap();
        assert_eq!(state.contents.package(chosen).full_name(), "app-1");
    }
}
