import Testing

/// Clients at work on a whole ensemble, and what must be true in the end.
extension EnsembleWorkspace {
    func startLoad() throws -> SteadyLoad {
        let load = try SteadyLoad(addresses, port: Self.clientPort)
        load.waitForProgress()
        return load
    }

    /// Ends the load. No request of it has failed, and all servers that run hold all that was
    /// acknowledged.
    func verify(_ load: SteadyLoad) throws {
        let (acknowledged, complaints) = load.stop()
        #expect(complaints == [], "\(logs)")
        #expect(acknowledged.count > 100, "there was hardly any load")
        for member in members where member.isRunning {
            let missing = try SteadyLoad.missing(
                acknowledged,
                on: member.address,
                port: Self.clientPort
            )
            #expect(missing == [], "acknowledged and not on server \(member.number)\n\(logs)")
        }
    }
}
