//! The terminal, and the keys that it sends.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use super::state::{Key, State};
use super::view;
use strata_error::{Error, Result};
use strata_progress::Context;

/// How often is looked whether a signal came.
const POLL: Duration = Duration::from_millis(200);

/// The terminal, which is as it was when this ends.
pub(super) struct Screen<'a> {
    terminal: Terminal<CrosstermBackend<BufWriter<Box<dyn Write + 'a>>>>,
    is_open: bool,
}

impl<'a> Screen<'a> {
    /// Takes the terminal that `writer` writes to.
    pub(super) fn open(writer: Box<dyn Write + 'a>) -> Result<Self> {
        enable_raw_mode().map_err(failed)?;
        let mut writer = BufWriter::new(writer);
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
                Err(failed(error))
            }
        }
    }

    /// Shows what there is.
    pub(super) fn draw(&mut self, state: &mut State) -> Result<()> {
        let drawn = self.terminal.draw(|frame| view::draw(frame, state));
        drawn.map(|_| ()).map_err(failed)
    }

    /// Gives the terminal back.
    pub(super) fn close(&mut self) -> Result<()> {
        self.is_open = false;
        disable_raw_mode().map_err(failed)?;
        execute!(self.terminal.backend_mut(), LeaveAlternateScreen).map_err(failed)?;
        self.terminal.show_cursor().map_err(failed)
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

/// The next key, or none after a while or a change of the terminal's size.
pub(super) fn next_key(context: Context<'_>) -> Result<Option<Key>> {
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

fn failed(error: io::Error) -> Error {
    Error::stream("the terminal")(error)
}
