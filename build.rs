//! Owns two facts for cargo: the migrations are part of the program, and so is the demo page.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=migrations");
    // Once the page is there, its files are known one by one. A path that is missing would have
    // everything built anew each time, so until then the folder is watched that it will appear in.
    if !Path::new("web/dist/index.html").exists() {
        println!("cargo::rerun-if-changed=web");
    }
}
