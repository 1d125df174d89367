//! Files of the workspace; errors name them.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use anjay_net_support::cargo::root;

/// The text of a file; a path that is not absolute is below the root of the workspace.
pub fn read(file: impl AsRef<Path>) -> Result<String, String> {
    let file = file.as_ref();
    fs::read_to_string(root().join(file)).map_err(|error| of(file, error))
}

/// Writes a file, whose path is as that of [`read`], and makes its directory.
pub fn write(file: impl AsRef<Path>, text: &str) -> Result<(), String> {
    let file = file.as_ref();
    let path = root().join(file);
    make(path.parent().expect("a file is in a directory"))?;
    fs::write(path, text).map_err(|error| of(file, error))
}

/// Makes a directory and those that it is in.
pub fn make(directory: &Path) -> Result<(), String> {
    fs::create_dir_all(directory).map_err(|error| of(directory, error))
}

/// The paths in a directory, in order.
pub fn read_dir(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(directory).and_then(|entries| {
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        paths.collect::<Result<Vec<_>, _>>()
    });
    let mut paths = entries.map_err(|error| of(directory, error))?;
    paths.sort();
    Ok(paths)
}

/// What went wrong with a file.
pub fn of(file: &Path, error: impl Display) -> String {
    format!("{}: {error}", file.display())
}

/// The name and the text of files that a command writes from others.
pub type Generated = Vec<(String, String)>;

/// Whether the files are what that command would write.
pub fn check(files: &Generated, command: &str) -> Result<(), String> {
    let is_stale = |(file, text): &&(String, String)| read(file).as_ref() != Ok(text);
    let stale: Vec<_> = files.iter().filter(is_stale).map(|it| &*it.0).collect();
    match stale.as_slice() {
        [] => Ok(()),
        some => Err(format!("{} stale; run: {command}", some.join(", "))),
    }
}

/// Writes them.
pub fn write_all(files: &Generated) -> Result<(), String> {
    for (file, text) in files {
        write(file, text)?;
        println!("wrote {file}");
    }
    Ok(())
}
