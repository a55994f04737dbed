//! `strata browse IMAGE`.
//!
//! - `state`: what is chosen, and what keys do to that
//! - `tree`: files as rows that open and close
//! - `view`: what is drawn

mod state;
mod tree;
mod view;

use std::io::{self, BufWriter};
use std::time::Duration;

use clap::Args;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use self::state::{Key, State, Wish};
use super::image_args::ImageArgs;
use crate::cli::failure::Failure;
use crate::cli::interruption::Interruption;
use crate::cli::printer::Printer;
use crate::cli::progress::Unseen;
use strata_error::{Error, Result};
use strata_oci::Platform;
use strata_progress::Context;
use strata_source::{self as source, Depth, SourceImage};

/// Look around in an image: its layers, packages and files, what they weigh and why they are there
#[derive(Args)]
#[command(after_help = format!("{HELP}\n\n{}", source::FORMS))]
pub(crate) struct BrowseArgs {
    /// The image, in any of the forms below
    image: String,

    /// The image for this platform, of an index; without it the one for this machine
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,

    #[command(flatten)]
    reach: ImageArgs,
}

const HELP: &str = "\
Arrows or h, j, k, l move; Tab changes the list; Enter opens a directory or goes to what is needed; s sorts, / searches,
f shows files, q ends.";

/// How often is looked whether a signal came.
const POLL: Duration = Duration::from_millis(200);

/// Runs the command.
pub(crate) fn run(
    arguments: BrowseArgs,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    if !printer.output_is_terminal() {
        return Err(Failure::Failed(Error::Name {
            what: "output",
            value: "standard output".to_owned(),
            message: "it is no terminal".to_owned(),
            hint: "`strata inspect` prints, and with --html FILE writes a page".to_owned(),
        }));
    }
    let options = arguments.reach.options()?;
    let unseen = Unseen(printer);
    let context = interruption.context(&unseen);
    let images = source::open(&arguments.image, &options, context)?;
    let image = source::choose(&arguments.image, images, arguments.platform.as_ref())?;
    let contents = image.contents(Depth::Packages, context)?;
    let name = image.facts.whole_name();
    let name = name.unwrap_or_else(|| arguments.image.clone());
    let state = State::new(name, contents);
    let mut screen = Screen::open(context).map_err(failed)?;
    let looked = look(&mut screen, state, &image, context);
    screen.close().map_err(failed)?;
    Ok(looked?)
}

fn failed(error: io::Error) -> Error {
    Error::stream("the terminal")(error)
}

/// Shows the image until the user has seen enough.
fn look(
    screen: &mut Screen<'_>,
    mut state: State,
    image: &SourceImage,
    context: Context<'_>,
) -> Result<()> {
    loop {
        let drawn = screen.terminal.draw(|frame| view::draw(frame, &mut state));
        drawn.map_err(failed)?;
        match next_key(context)? {
            None => {}
            Some(key) => match state.press(key) {
                Wish::Nothing => {}
                Wish::End => return Ok(()),
                Wish::Files => {
                    state.say("the layers are read ..");
                    let drawn = screen.terminal.draw(|frame| view::draw(frame, &mut state));
                    drawn.map_err(failed)?;
                    match image.contents(Depth::Files, context) {
                        Ok(contents) => state.show_files(contents),
                        Err(Error::Interrupted) => return Err(Error::Interrupted),
                        Err(error) => state.say(&error.to_string()),
                    }
                }
            },
        }
    }
}

/// The next key, or none after a while or a change of the terminal's size.
fn next_key(context: Context<'_>) -> Result<Option<Key>> {
    context.check()?;
    if !event::poll(POLL).map_err(failed)? {
        return Ok(None);
    }
    let Event::Key(pressed) = event::read().map_err(failed)? else {
        return Ok(None);
    };
    if pressed.kind == KeyEventKind::Release {
        return Ok(None);
    }
    let is_control = pressed.modifiers.contains(KeyModifiers::CONTROL);
    Ok(match pressed.code {
        KeyCode::Char('c' | 'd') if is_control => return Err(Error::Interrupted),
        KeyCode::Char(character) if !is_control => Some(Key::Character(character)),
        KeyCode::Up => Some(Key::Up),
        KeyCode::Down => Some(Key::Down),
        KeyCode::Left => Some(Key::Left),
        KeyCode::Right => Some(Key::Right),
        KeyCode::PageUp => Some(Key::PageUp),
        KeyCode::PageDown => Some(Key::PageDown),
        KeyCode::Home => Some(Key::First),
        KeyCode::End => Some(Key::Last),
        KeyCode::Tab => Some(Key::Next),
        KeyCode::BackTab => Some(Key::Before),
        KeyCode::Enter => Some(Key::Enter),
        KeyCode::Esc => Some(Key::Escape),
        KeyCode::Backspace => Some(Key::Backspace),
        _ => None,
    })
}

/// The terminal, which is as it was when this ends.
struct Screen<'a> {
    terminal: Terminal<CrosstermBackend<BufWriter<Box<dyn io::Write + 'a>>>>,
    is_open: bool,
}

impl<'a> Screen<'a> {
    fn open(context: Context<'a>) -> io::Result<Self> {
        enable_raw_mode()?;
        let mut writer = BufWriter::new(Printer::stdout(context));
        let entered = execute!(writer, EnterAlternateScreen);
        let terminal = entered.and_then(|()| Terminal::new(CrosstermBackend::new(writer)));
        match terminal {
            Ok(terminal) => Ok(Self {
                terminal,
                is_open: true,
            }),
            Err(error) => {
                // What failed first is what is told.
                let _ = disable_raw_mode();
                Err(error)
            }
        }
    }

    fn close(&mut self) -> io::Result<()> {
        self.is_open = false;
        disable_raw_mode()?;
        execute!(self.terminal.backend_mut(), LeaveAlternateScreen)?;
        self.terminal.show_cursor()
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        if self.is_open {
            // Nobody is left to tell.
            let _ = self.close();
        }
    }
}
