//! The Rust side of `npm run bench:peers`: the same rows as tablewalk's own side, done by the page-table mappers
//! of the crates `x86_64` and `page_table_multiarch`.
//!
//! `peers ROUNDS` prints one JSON line per row and peer. A wrong result ends the program with a panic.

mod mapper;
mod multiarch;
mod offset;
#[cfg(target_os = "linux")]
mod recursive;
mod rows;

fn main() {
    let rounds = std::env::args().nth(1).and_then(|text| text.parse().ok()).filter(|&n| n > 0);
    let Some(rounds) = rounds else {
        eprintln!("usage: peers ROUNDS");
        std::process::exit(2);
    };
    let ram = rows::guest_ram();
    offset::run(ram, rounds);
    multiarch::run(ram, rounds);
    #[cfg(target_os = "linux")]
    recursive::run(rounds);
}
