import Glibc

/// Where relayd listens when nothing else was said: `$RUNTIME_DIRECTORY`, then `/run/relayd` where it is or for root,
/// then the user's own runtime directory.
package func defaultControlSocketPath(
    environment: [String: String], isRoot: Bool = geteuid() == 0, userID: UInt32 = geteuid(),
    exists: (String) -> Bool = { unsafe access($0, F_OK) == 0 }
) -> String {
    let systemPath = "/run/relayd/relayd.sock"
    // systemd separates several directories by colons.
    if let directory = environment["RUNTIME_DIRECTORY"]?.split(separator: ":").first { return "\(directory)/relayd.sock" }
    if isRoot || exists(systemPath) { return systemPath }
    if let directory = environment["XDG_RUNTIME_DIR"], !directory.isEmpty { return "\(directory)/relayd.sock" }
    return "/tmp/relayd-\(userID)/relayd.sock"
}
