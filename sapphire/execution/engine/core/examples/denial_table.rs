//! Prints the table of the gate's codes: `cargo run -p sapphire-core --example denial_table > DENIALS.md`.

use sapphire_core::risk::DenialCode;

fn main() {
    print!("{}", DenialCode::table());
}
