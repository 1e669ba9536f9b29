//! The files of a release, read and checked to the last byte.
//!
//! Invariant: links are not followed inside the folder, and whatever is in it and not in the manifest refuses it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::error::{EvidenceError, Fault, short};
use super::manifest::{MANIFEST_FILE, Manifest};
use super::{file_name, sha256_of};

/// The manifest of the release `digest` in `folder`, every file verified.
pub(super) fn verified(folder: &Path, digest: &str) -> Result<Manifest, EvidenceError> {
    let data = manifest_bytes(folder)?;
    let got = sha256_of(&data);
    if got != digest {
        let what = format!("another release than the one that was asked for is in {}", file_name(folder));
        return Err(EvidenceError::new(Fault::Release, what)
            .expected(format!("{MANIFEST_FILE} with sha256 {digest}"))
            .got(got)
            .next("take the release again from the registry"));
    }
    let manifest = Manifest::parse(&data)?;
    let there = entries(folder).map_err(|error| unreadable(folder, &error).of(manifest.name()))?;
    check(&manifest, digest, folder, &there).map_err(|error| error.of(manifest.name()))?;
    Ok(manifest)
}

fn manifest_bytes(folder: &Path) -> Result<Vec<u8>, EvidenceError> {
    let path = folder.join(MANIFEST_FILE);
    let plain = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
    if !plain {
        let how = if folder.is_dir() { "without one" } else { "which is no folder" };
        return Err(EvidenceError::new(Fault::Release, "no release here")
            .expected(format!("a folder with a {MANIFEST_FILE}"))
            .got(format!("{}, {how}", folder.display()))
            .next("sapphire releases lists what there is"));
    }
    fs::read(&path).map_err(|error| unreadable(&path, &error))
}

fn check(
    manifest: &Manifest,
    digest: &str,
    folder: &Path,
    there: &BTreeMap<String, &'static str>,
) -> Result<(), EvidenceError> {
    let wanted = manifest.files();
    let mut wrong = Vec::new();
    let mut foreign: BTreeMap<&str, &str> = there.iter().map(|(path, kind)| (path.as_str(), *kind)).collect();
    foreign.remove(MANIFEST_FILE);
    for (path, sha256) in wanted {
        if there.get(path) != Some(&"file") {
            wrong.push(format!("{path} is missing"));
            continue;
        }
        foreign.remove(path.as_str());
        let found = fs::read(folder.join(path)).map(|content| sha256_of(&content));
        let found = found.map_err(|error| unreadable(&folder.join(path), &error))?;
        if found != *sha256 {
            wrong.push(format!("{path} has sha256 {}, not {}", short(&found), short(sha256)));
        }
    }
    wrong.extend(foreign.into_iter().map(|(path, kind)| format!("{path} ({kind}) is not in the manifest")));
    if wrong.is_empty() {
        return Ok(());
    }
    let name = manifest.name();
    let what = format!("the files of release {name} {} are not those of its manifest", short(digest));
    Err(EvidenceError::new(Fault::Files, what)
        .expected(format!("{} files with the manifest's digests and no other", wanted.len()))
        .got(wrong.join("\n"))
        .next("take the release again from the registry, or submit the study again"))
}

/// Path and kind of everything in the folder but plain folders.
fn entries(folder: &Path) -> std::io::Result<BTreeMap<String, &'static str>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((here, prefix)) = folders.pop() {
        for entry in fs::read_dir(&here)? {
            let entry = entry?;
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push((entry.path(), format!("{path}/")));
                continue;
            }
            let kind = match kind {
                kind if kind.is_symlink() => "link",
                kind if kind.is_file() => "file",
                _ => "neither file nor folder",
            };
            found.insert(path, kind);
        }
    }
    Ok(found)
}

fn unreadable(path: &Path, error: &std::io::Error) -> EvidenceError {
    EvidenceError::new(Fault::Files, format!("{} of a release cannot be read", file_name(path)))
        .expected(format!("{} readable to this process", path.display()))
        .got(error.to_string())
        .next("the owner and the mode of the file")
}
