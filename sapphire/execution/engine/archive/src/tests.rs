use std::sync::atomic::{AtomicU64, Ordering};

use sapphire_core::journal::{Header, JournalKind};

use super::*;

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sapphire-archive-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn segment(records: usize) -> Vec<u8> {
    let header = Header { kind: JournalKind::Service, epoch: 7, config_digest: [3; 32] };
    let mut bytes = Vec::new();
    let mut encoder = sapphire_core::journal::Encoder::new(&header, &mut bytes);
    for record in 0..records {
        encoder.encode(record as i64, 0, 1, format!("entry {record}").as_bytes(), &mut bytes).unwrap();
    }
    bytes
}

fn placed(bytes: &[u8]) -> (Scratch, PathBuf) {
    let scratch = Scratch::new();
    let plain = scratch.0.join("service-7-1.journal");
    fs::write(&plain, bytes).unwrap();
    (scratch, plain)
}

#[test]
fn an_archive_reads_as_the_file_did() {
    let bytes = segment(200);
    let (scratch, plain) = placed(&bytes);
    archive(&plain, Content::Journal).unwrap();
    assert_eq!(scratch.names(), ["service-7-1.journal.zst"]);
    assert!(fs::metadata(archive_of(&plain)).unwrap().len() < bytes.len() as u64);
    assert_eq!(read(&plain).unwrap(), bytes);
    let mut head = [0; 56];
    read_head(&plain, &mut head).unwrap();
    assert_eq!(head[..], bytes[..56]);
}

/// Cut off anywhere, the bytes are there, and the next archiving ends what was begun.
#[test]
fn an_archiving_that_is_cut_off_loses_nothing() {
    let bytes = segment(200);
    for last in [Moment::Begun, Moment::Written, Moment::Verified, Moment::Named] {
        let (scratch, plain) = placed(&bytes);
        let cut = archive_with(&plain, Content::Journal, &mut |moment| {
            if moment == last { Err(io::Error::other("killed")) } else { Ok(()) }
        });
        assert!(matches!(cut, Err(ArchiveError::File { .. })), "{last:?}");
        assert_eq!(read(&plain).unwrap(), bytes, "{last:?}");
        assert!(scratch.names().contains(&"service-7-1.journal".to_owned()), "{last:?}: the plain file goes last");
        archive(&plain, Content::Journal).unwrap();
        assert_eq!(
            (scratch.names(), read(&plain).unwrap()),
            (vec!["service-7-1.journal.zst".to_owned()], bytes.clone())
        );
    }
}

#[test]
fn a_damaged_segment_is_not_archived() {
    let mut bytes = segment(20);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let (scratch, plain) = placed(&bytes);
    assert!(matches!(archive(&plain, Content::Journal), Err(ArchiveError::Journal { .. })));
    assert_eq!((scratch.names(), fs::read(&plain).unwrap()), (vec!["service-7-1.journal".to_owned()], bytes));
}

/// What is read back is compared before the plain file goes.
#[test]
fn an_archive_that_reads_back_otherwise_is_refused() {
    let bytes = segment(20);
    let (scratch, plain) = placed(&bytes);
    let unfinished = with(&plain, UNFINISHED);
    let other = zstd::encode_all(&segment(19)[..], LEVEL).unwrap();
    let told = archive_with(&plain, Content::Journal, &mut |moment| match moment {
        Moment::Written => fs::write(&unfinished, &other),
        _ => Ok(()),
    });
    assert!(matches!(told, Err(ArchiveError::Differs { .. })), "{told:?}");
    assert_eq!(fs::read(&plain).unwrap(), bytes);
    assert!(!scratch.names().contains(&"service-7-1.journal.zst".to_owned()));
}

#[test]
fn a_changed_archive_is_an_error_and_no_other_bytes() {
    let (_scratch, plain) = placed(&segment(200));
    archive(&plain, Content::Journal).unwrap();
    let mut bytes = fs::read(archive_of(&plain)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(archive_of(&plain), bytes).unwrap();
    assert!(read(&plain).is_err());
}

#[test]
fn names_of_archives_are_those_of_their_files() {
    assert_eq!(plain_name("service-7-1.journal"), Some("service-7-1.journal"));
    assert_eq!(plain_name("service-7-1.journal.zst"), Some("service-7-1.journal"));
    assert_eq!(plain_name("service-7-1.journal.zst.new"), None);
}

#[test]
fn the_thread_archives_what_it_is_given() {
    let bytes = segment(50);
    let (scratch, plain) = placed(&bytes);
    let archiver = Archiver::start().unwrap();
    archiver.add(plain.clone(), Content::Journal);
    let began = std::time::Instant::now();
    while scratch.names() != ["service-7-1.journal.zst"] {
        assert!(began.elapsed().as_secs() < 20, "{:?}", scratch.names());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    drop(archiver);
    assert_eq!(read(&plain).unwrap(), bytes);
}
