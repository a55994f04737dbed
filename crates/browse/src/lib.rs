//! An image in a terminal, to look around in: its layers, packages and files, what they weigh and why they are there.
//!
//! - `screen`: the terminal, and the keys that it sends
//! - `state`: what is chosen, and what keys do to that
//! - `tree`: files as rows that open and close
//! - `view`: what is drawn

#![warn(missing_docs, unreachable_pub)]
#![warn(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod screen;
mod state;
mod tree;
mod view;

use std::io::Write;

use self::screen::{Screen, next_key};
use self::state::{State, Wish};
use strata_contents::Contents;
use strata_error::{Error, Result};
use strata_progress::Context;

/// Shows the image `name` on the terminal that `writer` writes to, until the user has seen enough. `read_files` gives its
/// contents with files, which takes longer.
pub fn browse(
    name: String,
    contents: Contents,
    read_files: &dyn Fn() -> Result<Contents>,
    writer: Box<dyn Write + '_>,
    context: Context<'_>,
) -> Result<()> {
    let state = State::new(name, contents);
    let mut screen = Screen::open(writer)?;
    let looked = look(&mut screen, state, read_files, context);
    screen.close()?;
    looked
}

fn look(
    screen: &mut Screen<'_>,
    mut state: State,
    read_files: &dyn Fn() -> Result<Contents>,
    context: Context<'_>,
) -> Result<()> {
    loop {
        screen.draw(&mut state)?;
        match next_key(context)? {
            None => {}
            Some(key) => match state.press(key) {
                Wish::Nothing => {}
                Wish::End => return Ok(()),
                Wish::Files => {
                    state.say("the layers are read ..");
                    screen.draw(&mut state)?;
                    match read_files() {
                        Ok(contents) => state.show_files(contents),
                        Err(Error::Interrupted) => return Err(Error::Interrupted),
                        Err(error) => state.say(&error.to_string()),
                    }
                }
            },
        }
    }
}
