internal import Journal
internal import NIOCore
internal import NIOPosix
internal import Platform
internal import Replication
internal import ZooKeeperModel

extension ReplicaRunner {
    /// Makes the text that the asker gets before its connection is closed, at once or, where files must
    /// be looked at, later. `argument` is what came behind the word; nil where there is nothing to say.
    func answer(
        _ word: FourLetterWord,
        argument: ArraySlice<UInt8>,
        asker: ConnectionID,
        respond: @escaping (String?) -> Void
    ) {
        figures.words += 1
        let status = replica.status
        if let refusal = word.refusal(mode: status.mode, configuration: configuration) {
            return respond(refusal)
        }
        let now = SystemClock.read()
        let source = WordSource(
            asker: asker,
            now: now,
            status: status,
            configuration: configuration,
            process: ProcessFigures(since: started, now: now.instant),
            figures: figures,
            directorySizes: (0, 0),
            addresses: connections.mapValues(\.printedAddress)
        )
        guard word.needsDirectorySizes else {
            return respond(text(of: word, argument, source))
        }
        let journal = configuration.journal
        let waiting = NIOLoopBound(
            (runner: self, source: source, respond: respond),
            eventLoop: loop
        )
        NIOThreadPool.singleton.runIfActive(eventLoop: loop) {
            (
                data: sizeOfFiles(in: journal.dataDirectory),
                log: sizeOfFiles(in: journal.logDirectory)
            )
        }.whenComplete { result in
            let (runner, known, respond) = waiting.value
            var source = known
            // It fails only where the whole process is about to end.
            if case .success(let sizes) = result { source.directorySizes = sizes }
            respond(runner.text(of: word, [], source))
        }
    }

    private func text(
        of word: FourLetterWord,
        _ argument: ArraySlice<UInt8>,
        _ source: WordSource
    ) -> String? {
        switch word {
        case .ruok: return "imok"
        case .isro: return source.isro()
        case .srvr: return source.srvr()
        case .stat: return source.stat()
        case .mntr: return source.mntr()
        case .cons: return source.cons()
        case .conf: return source.conf()
        case .dirs: return source.dirs()
        case .envi: return source.envi()
        case .dump: return source.dump(replica.sessionReport)
        case .wchs: return source.wchs(replica.dataWatches)
        case .wchc: return source.wchc(replica.dataWatches)
        case .wchp: return source.wchp(replica.dataWatches)
        case .hash: return source.hash(replica.digests)
        case .crst:
            replica.resetConnectionStatistics()
            return "Connection stats reset.\n"
        case .srst:
            replica.resetStatistics()
            figures = ConnectionFigures()
            figures.words = 1
            return "Server stats reset.\n"
        case .gtmk: return "\(traceMask)"
        case .stmk:
            // The mask is kept for who asks for it; nothing is traced by it.
            guard argument.count >= 8 else { return nil }
            traceMask = argument.prefix(8).reduce(0) { $0 << 8 | Int64($1) }
            return "\(traceMask)"
        }
    }
}
