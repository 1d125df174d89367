#!/bin/sh
# Prints the path of a rustc that can rebuild its standard library for size, for
# `make SMALL=1`: the one that is named or in PATH, rustup's nightly, the system's,
# or Debian's packages, which it unpacks into DIRECTORY. Needs no root.
#
#   packaging/rustc-with-source.sh DIRECTORY [RUSTC]
set -eu

directory=$1
named=${2:-}

# Whether it has the source, and is new enough for panic=immediate-abort.
can_rebuild() {
    sysroot=$("$1" --print sysroot 2>/dev/null) &&
        [ -f "$sysroot/lib/rustlib/src/rust/library/std/src/lib.rs" ] &&
        RUSTC_BOOTSTRAP=1 "$1" -Zunstable-options -Cpanic=immediate-abort --print cfg \
            >/dev/null 2>&1
}

nightly=$(rustup which --toolchain nightly rustc 2>/dev/null) || nightly=
for rustc in "$named" "$(command -v rustc)" "$nightly" /usr/bin/rustc "$directory/rustc"; do
    if [ -n "$rustc" ] && can_rebuild "$rustc"; then
        echo "$rustc"
        exit
    fi
done

# The C library's architecture, in the words of rustc's directories.
multiarch=$(cc -dumpmachine 2>/dev/null || true)
depends() { apt-cache depends "$@" 2>/dev/null | sed -n 's/^ *Depends: //p'; }
fetch() {
    if [ "$(id -u)" = 0 ] && ! apt-cache show rust-web-src >/dev/null 2>&1; then
        apt-get -qq update >&2
    fi
    library=$(depends libstd-rust-web-dev | grep '^libstd-rust-web-[0-9]') || return
    llvm=$(depends "$library" | grep '^libllvm') || return
    rm -rf "$directory"
    mkdir -p "$directory/packages" "$directory/usr/lib/rustlib/src/rust"
    echo "unpacking Debian's rustc-web and its source into $directory" >&2
    (cd "$directory/packages" &&
        apt-get -qq -o APT::Sandbox::User= download \
            rustc-web rust-web-src libstd-rust-web-dev "$library" "$llvm" >&2) || return
    for package in "$directory"/packages/*.deb; do
        case $package in
        # The compiler's own source is many times as much.
        */rust-web-src_*)
            dpkg-deb --fsys-tarfile "$package" | tar --extract --wildcards \
                --strip-components=4 --directory "$directory/usr/lib/rustlib/src/rust" \
                './usr/src/rustc-*/library' ;;
        *) dpkg-deb --extract "$package" "$directory" ;;
        esac
    done
    rm -r "$directory/packages"
    # Its libraries are not where the system's loader looks.
    cat >"$directory/rustc" <<END
#!/bin/sh
LD_LIBRARY_PATH='$directory/usr/lib:$directory/usr/lib/$multiarch' \\
    exec '$directory/usr/bin/rustc' "\$@"
END
    chmod 755 "$directory/rustc"
}
case $directory in /*) ;; *) directory=$PWD/$directory ;; esac
if command -v apt-get >/dev/null && fetch && can_rebuild "$directory/rustc"; then
    echo "$directory/rustc"
    exit
fi
echo "SMALL=1 rebuilds Rust's standard library; run: rustup toolchain install nightly --component rust-src" >&2
exit 1
