//! The Rust side of `npm run bench:peers`: the same rows as tablewalk's own side, done by the page-table code of the
//! crates `x86_64`, `page_table_multiarch`, `hyperlight-common` and `aarch64-paging`.
//!
//! `peers ROUNDS PART` prints one JSON line per row and peer; a part is what one script of tablewalk's side stands
//! beside. A wrong result ends the program with a panic.

mod aarch64_paging;
mod hyperlight;
mod mapper;
mod multiarch;
mod offset;
#[cfg(target_os = "linux")]
mod recursive;
mod rows;

fn main() {
    let mut args = std::env::args().skip(1);
    let rounds = args.next().and_then(|text| text.parse().ok()).filter(|&n| n > 0);
    let (Some(rounds), Some(part), None) = (rounds, args.next(), args.next()) else { usage() };
    match part.as_str() {
        "mappers" => {
            let ram = rows::guest_ram();
            offset::run(ram, rounds);
            multiarch::run(ram, rounds);
        }
        #[cfg(target_os = "linux")]
        "recursive" => recursive::run(rounds),
        #[cfg(not(target_os = "linux"))]
        "recursive" => {}
        "hyperlight" => hyperlight::run(rounds),
        "aarch64-paging" => aarch64_paging::run(rounds),
        "space" => {
            hyperlight::run_space(rounds);
            multiarch::run_space(rows::guest_ram(), rounds);
            aarch64_paging::run_space(rounds);
        }
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!("usage: peers ROUNDS mappers|recursive|hyperlight|aarch64-paging|space");
    std::process::exit(2);
}
