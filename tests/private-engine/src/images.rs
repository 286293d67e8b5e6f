//! Base images made on this machine from Debian packages, with no registry.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use crate::Client;
use crate::debian::{find, need, need_file, output};
use crate::error::{Error, Tried};

/// The Debian release whose packages the runtime image has.
const RELEASE: &str = "bookworm";

/// The keys that Debian's packages are signed with.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What the runtime image has. Debian's `jekyll` brings Ruby.
const RUNTIME_PACKAGES: &str = "nodejs,redis-server,jekyll";

const NODE_PACKAGES: &str = "nodejs";

/// A base image that can be made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseImage {
    /// Debian's static busybox and nothing else: about 2 MB, made in milliseconds.
    Busybox,
    /// A small Debian with Node, Redis and Jekyll: made in under a minute, then kept as a file.
    Runtime,
    /// A small Debian with Node and nothing else.
    Node,
}

impl BaseImage {
    /// The image's reference.
    pub fn reference(self) -> &'static str {
        match self {
            Self::Busybox => "ailtire-test/busybox:1",
            Self::Runtime => "ailtire-test/runtime:1",
            Self::Node => "ailtire-test/node:1",
        }
    }

    /// The name of the file that keeps its content, which says what is in it.
    fn file_name(self) -> String {
        match self {
            Self::Busybox => "busybox.tar".into(),
            Self::Runtime => debian_file_name(RUNTIME_PACKAGES),
            Self::Node => debian_file_name(NODE_PACKAGES),
        }
    }

    fn write(self, file: &mut File, path: &Path) -> Result<(), Error> {
        match self {
            Self::Busybox => write_busybox(file),
            Self::Runtime => write_debian(RUNTIME_PACKAGES, path),
            Self::Node => write_debian(NODE_PACKAGES, path),
        }
    }
}

/// Brings a base image into an engine that does not have it, and returns its reference.
///
/// Its content is made once and kept in `cache`.
///
/// # Errors
/// Debian's packages can't be had, `cache` can't be written, or the engine refuses the image.
pub fn base_image(client: &Client, image: BaseImage, cache: &Path) -> Result<&'static str, Error> {
    let reference = image.reference();
    if client.get(&format!("/images/{reference}/json"))?.status == 200 {
        return Ok(reference);
    }
    let path = content(image, cache)?;
    let mut file = File::open(&path).tried(|| format!("opening {}", path.display()))?;
    let length = file.metadata().tried(|| format!("reading {}", path.display()))?.len();
    let (repository, tag) = reference.split_once(':').unwrap_or((reference, "latest"));
    let request = format!("/images/create?fromSrc=-&repo={repository}&tag={tag}");
    client.post(&request, &mut file, length)?.accepted(&format!("POST {request}"))?;
    Ok(reference)
}

/// The file with an image's content, made if it is not there.
fn content(image: BaseImage, cache: &Path) -> Result<PathBuf, Error> {
    let path = cache.join(image.file_name());
    if path.exists() {
        return Ok(path);
    }
    let writing = || format!("writing {}", path.display());
    fs::create_dir_all(cache).tried(writing)?;
    let mut file = tempfile::Builder::new().suffix(".tar").tempfile_in(cache).tried(writing)?;
    let temporary = file.path().to_owned();
    image.write(file.as_file_mut(), &temporary)?;
    file.persist(&path).tried(writing)?;
    Ok(path)
}

fn write_busybox(file: &mut File) -> Result<(), Error> {
    // Debian's plain `busybox` is not static in every release; `busybox-static` is.
    need("busybox", "busybox-static")?;
    let program = find("busybox").unwrap_or_else(|| "busybox".into());
    let applets = output("busybox", ["--list"])?;
    let mut builder = Builder::new(file);
    add_busybox(&mut builder, &program, &applets).tried(|| "packing busybox".into())
}

fn add_busybox<W: Write>(
    builder: &mut Builder<W>,
    program: &Path,
    applets: &str,
) -> std::io::Result<()> {
    for (folder, mode) in [("bin/", 0o755), ("etc/", 0o755), ("root/", 0o700), ("tmp/", 0o1777)] {
        let mut header = header(EntryType::Directory, mode, 0);
        builder.append_data(&mut header, folder, std::io::empty())?;
    }
    let mut program = File::open(program)?;
    let mut entry = header(EntryType::Regular, 0o755, program.metadata()?.len());
    builder.append_data(&mut entry, "bin/busybox", &mut program)?;
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        let mut link = header(EntryType::Symlink, 0o777, 0);
        builder.append_link(&mut link, format!("bin/{applet}"), "busybox")?;
    }
    let users = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n";
    let mut entry = header(EntryType::Regular, 0o644, users.len() as u64);
    builder.append_data(&mut entry, "etc/passwd", users.as_slice())?;
    builder.finish()
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header
}

fn debian_file_name(packages: &str) -> String {
    format!("{RELEASE}-{}.tar", packages.replace(',', "-"))
}

/// Writes a small Debian with these packages.
fn write_debian(packages: &str, path: &Path) -> Result<(), Error> {
    need("mmdebstrap", "mmdebstrap")?;
    // Ubuntu does not have it from the start.
    need_file(KEYRING, "debian-archive-keyring")?;
    let include = format!("--include={packages}");
    // Less to unpack, and no waiting for the disk: a broken run is begun again anyway.
    let smaller_and_faster = [
        "--dpkgopt=force-unsafe-io",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
    ];
    let path = path.to_string_lossy();
    let arguments = ["--quiet", "--variant=essential", &include]
        .into_iter()
        .chain(smaller_and_faster)
        .chain([RELEASE, &*path]);
    output("mmdebstrap", arguments).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busybox_has_its_applets_as_links() {
        let mut packed = Vec::new();
        let mut builder = Builder::new(&mut packed);
        add_busybox(&mut builder, Path::new("/proc/self/exe"), "busybox\nls\nsh\n").unwrap();
        drop(builder);
        let mut archive = tar::Archive::new(packed.as_slice());
        let entries: Vec<(String, EntryType)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.path().unwrap().display().to_string(), entry.header().entry_type())
            })
            .collect();
        assert!(entries.contains(&("bin/busybox".into(), EntryType::Regular)), "{entries:?}");
        assert!(entries.contains(&("bin/sh".into(), EntryType::Symlink)), "{entries:?}");
        assert_eq!(entries.iter().filter(|(name, _)| name == "bin/busybox").count(), 1);
    }
}
