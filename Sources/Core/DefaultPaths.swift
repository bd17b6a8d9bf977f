/// Where daemon and command line meet when nobody says otherwise. Both ask here, so they agree.
public enum DefaultPaths {
    /// The control socket the daemon makes: in systemd's runtime directory when started by it, in `/run/relayd` as root,
    /// else in the user's own runtime directory.
    ///
    /// The directory in `/tmp` is for machines without a session manager; whoever creates it must use mode 0700 and
    /// refuse one that belongs to another user.
    public static func controlSocket(environment: [String: String], userID: UInt32) -> String {
        if let directory = firstDirectory(in: environment["RUNTIME_DIRECTORY"]) { return directory + "/relayd.sock" }
        if userID == 0 { return systemControlSocket }
        if let directory = absolute(environment["XDG_RUNTIME_DIR"]) { return directory + "/relayd.sock" }
        return "/tmp/relayd-\(userID)/relayd.sock"
    }

    /// Where a client looks for the daemon, in this order: its own user's, then the system's.
    public static func controlSocketCandidates(environment: [String: String], userID: UInt32) -> [String] {
        let own = controlSocket(environment: environment, userID: userID)
        return own == systemControlSocket ? [own] : [own, systemControlSocket]
    }

    /// The directory of journal and record store.
    public static func recordsDirectory(environment: [String: String], userID: UInt32) -> String {
        if let directory = firstDirectory(in: environment["STATE_DIRECTORY"]) { return directory }
        if userID == 0 { return "/var/lib/relayd" }
        if let directory = absolute(environment["XDG_STATE_HOME"]) { return directory + "/relayd" }
        if let home = absolute(environment["HOME"]) { return home + "/.local/state/relayd" }
        return "/tmp/relayd-\(userID)/state"
    }

    private static let systemControlSocket = "/run/relayd/relayd.sock"

    /// systemd joins several directories with colons; the first is ours.
    private static func firstDirectory(in list: String?) -> String? {
        absolute(list?.split(separator: ":").first.map(String.init))
    }

    private static func absolute(_ path: String?) -> String? {
        guard let path, path.hasPrefix("/"), path != "/" else { return nil }
        return path.hasSuffix("/") ? String(path.dropLast()) : path
    }
}
