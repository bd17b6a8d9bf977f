import Configuration
import Core
import Records
import SIP

/// Where registrations and the key of nonces outlive a restart: `registrations` and `nonce.key` beside the records.
struct RegistrationFile {
    private let keeper: StateKeeper
    let digestKey: [UInt8]

    /// - Parameters:
    ///   - onTrouble: called from another thread with a sentence for the log.
    ///   - lines: gets the bindings of an earlier run.
    init(directory: String, lines: inout [RegistrationLine], onTrouble: @escaping @Sendable (String) -> Void) throws(RecordError) {
        let path = directory + "/registrations"
        let read: StateKeeper.Reader = { line in
            RegistrationLine.subject(of: line).map { StateKeeper.Reading(key: $0.key, isPresent: $0.isPresent) }
        }
        lines = try StateKeeper.load(path: path, read: read).compactMap { RegistrationLine($0) }
        digestKey = try SecretFile.load(path: directory + "/nonce.key", count: 32)
        keeper = try StateKeeper(path: path, read: read, onTrouble: onTrouble)
    }

    /// - Parameter line: of `RegistrationLine`, with its end.
    func append(_ line: [UInt8]) { keeper.append(line) }

    func stop() { keeper.stop() }
}
