//! `--help` of every command, as it is at 80 columns: it is the reference, so a change of it is seen.

use clap::Command;
use std::fmt::Write as _;
use tessera_cli::args::command;

/// Columns of the terminal that the help is printed for.
const WIDTH: usize = 80;

fn collect(command: &Command, path: &str, out: &mut Vec<(String, String)>) {
    let name = if path.is_empty() {
        command.get_name().to_owned()
    } else {
        format!("{path} {}", command.get_name())
    };
    let mut shown = command.clone().term_width(WIDTH).bin_name(&name);
    out.push((name.clone(), shown.render_help().to_string()));
    for below in command.get_subcommands() {
        collect(below, &name, out);
    }
}

fn all() -> Vec<(String, String)> {
    let mut command = command();
    command.build();
    let mut out = Vec::new();
    collect(&command, "", &mut out);
    out
}

#[test]
fn the_commands_are_well_formed() {
    command().debug_assert();
}

#[test]
fn help_is_what_was_agreed() {
    let mut whole = String::new();
    for (name, help) in all() {
        let _ = writeln!(whole, "{}\n$ {name} --help\n", "=".repeat(WIDTH));
        whole += &help.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        whole.push('\n');
    }
    let trimmed: Vec<&str> = whole.lines().map(str::trim_end).collect();
    insta::assert_snapshot!("help", trimmed.join("\n"));
}

#[test]
fn help_fits_the_terminal() {
    let mut long = Vec::new();
    for (name, help) in all() {
        long.extend(
            help.lines()
                .filter(|line| line.chars().count() > 100)
                .map(|line| format!("{name}: {line}")),
        );
    }
    assert!(
        long.is_empty(),
        "lines over 100 columns:\n{}",
        long.join("\n")
    );
}

#[test]
fn every_command_but_hidden_ones_says_what_it_does() {
    let mut command = command();
    command.build();
    for below in command.get_subcommands() {
        assert!(
            below.get_about().is_some(),
            "{} has no help",
            below.get_name()
        );
    }
}
