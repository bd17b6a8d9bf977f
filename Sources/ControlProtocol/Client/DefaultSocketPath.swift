import Core
import Glibc

/// Where a client finds relayd when nothing else was said: the first of `DefaultPaths.controlSocketCandidates` that
/// exists, else the first, which the error then names.
package func defaultControlSocketPath(
    environment: [String: String], userID: UInt32 = geteuid(),
    exists: (String) -> Bool = { unsafe access($0, F_OK) == 0 }
) -> String {
    let candidates = DefaultPaths.controlSocketCandidates(environment: environment, userID: userID)
    return candidates.first(where: exists) ?? candidates[0]
}
