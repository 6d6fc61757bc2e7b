internal import Platform
internal import Replication
internal import ZooKeeperModel

// mntr: one figure a line, under the names and in the order of Apache's server.

extension WordSource {
    func mntr() -> String {
        var rows = [("version", ServerVersion.text), ("server_state", status.mode.rawValue)]
        if let state = peerState { rows.append(("peer_state", state)) }
        if status.mode == .observer, let leader = status.quorum?.leader {
            rows.append(("observer_master_id", "\(leader)"))
        }
        rows += gauges + counters
        return rows.map { "zk_\($0.0)\t\($0.1)\n" }.joined()
    }

    private var peerState: String? {
        switch status.mode {
        case .leader: "leading - broadcast"
        case .follower: "following - broadcast"
        case .observer: "observing - broadcast"
        case .standalone, .readOnly, .looking: nil
        }
    }

    private var gauges: [(String, String)] {
        // Those with a role are there in that role alone.
        let leading = status.mode == .leader ? status.quorum : nil
        let member = status.mode == .readOnly ? nil : status.quorum
        let sizes = proposalSizes
        let isLocal = addresses.values.map { $0.hasPrefix("/127.") || $0.hasPrefix("/::1:") }
        let rows: [(String, String?)] = [
            ("ephemerals_count", "\(status.ephemeralCount)"),
            ("num_alive_connections", "\(status.connections.count)"),
            ("avg_latency", JavaText.rounded(status.latency.average)),
            ("min_proposal_size", leading.map { _ in "\(sizes.minimum)" }),
            ("outstanding_requests", "\(status.outstandingRequests)"),
            ("znode_count", "\(nodeCount)"),
            ("global_sessions", "\(status.sessionCount)"),
            ("non_mtls_remote_conn_count", "\(isLocal.count { !$0 })"),
            ("last_client_response_size", "\(figures.responseSizes?.last ?? -1)"),
            ("packets_sent", "\(packetsSent)"),
            ("packets_received", "\(packetsReceived)"),
            ("max_proposal_size", leading.map { _ in "\(sizes.maximum)" }),
            ("max_client_response_size", "\(figures.responseSizes?.maximum ?? -1)"),
            ("synced_followers", leading.map { "\($0.syncedFollowers)" }),
            ("connection_drop_probability", "0.0"),
            ("watch_count", "\(status.watchCount)"),
            ("synced_non_voting_followers", leading.map { "\($0.syncedNonVotingFollowers)" }),
            ("synced_observers", leading.map { "\($0.syncedObservers)" }),
            ("auth_failed_count", "\(status.counters.failedAuthentications)"),
            ("min_latency", "\(status.latency.minimum)"),
            ("max_file_descriptor_count", "\(process.maxDescriptors)"),
            ("approximate_data_size", "\(status.approximateDataSize)"),
            ("open_file_descriptor_count", "\(process.openDescriptors)"),
            ("last_proposal_size", leading.map { _ in "\(sizes.last)" }),
            ("pending_syncs", leading.map { "\($0.pendingSyncs)" }),
            ("leader_uptime", leading.map { "\(milliseconds(since: $0.leadingSince))" }),
            ("local_sessions", "\(status.localSessionCount)"),
            ("uptime", "\(process.uptimeMilliseconds)"),
            ("max_latency", "\(status.latency.maximum)"),
            ("outstanding_tls_handshake", "0"),
            ("learners", leading.map { "\($0.learners)" }),
            ("min_client_response_size", "\(figures.responseSizes?.minimum ?? -1)"),
            ("non_mtls_local_conn_count", "\(isLocal.count { $0 })"),
            ("quorum_size", member.map { "\($0.voters)" }),
        ]
        return rows.compactMap { name, value in value.map { (name, $0) } }
    }

    private func milliseconds(since start: Instant?) -> Int64 {
        start.map { (now.instant - $0).wholeMilliseconds } ?? 0
    }

    private var counters: [(String, String)] {
        let counters = status.counters
        // A server alone proposes to itself and elects itself: nothing that an operator looks for.
        let isMember = status.quorum != nil
        let rows: [(String, Int64)] = [
            ("proposal_count", isMember ? counters.proposals : 0),
            ("watch_bytes", figures.watchBytes),
            ("connection_rejected", figures.rejected),
            ("cnxn_closed_without_zk_server_running", counters.closedWithoutLeader),
            ("sessionless_connections_expired", figures.sessionlessExpired),
            ("looking_count", isMember ? counters.elections : 0),
            ("connection_drop_count", figures.droppedByClients),
            ("learner_proposal_received_count", counters.proposalsReceived),
            ("digest_mismatches_count", status.digestMismatches),
            ("bytes_received_count", figures.receivedBytes),
            ("learner_commit_received_count", counters.commitsReceived),
            ("connection_request_count", counters.connectRequests),
            ("response_bytes", figures.responseBytes),
            ("diff_count", counters.diffsSent),
            ("connection_revalidate_count", counters.connectionRevalidations),
            ("snap_count", counters.snapshotsSent),
            ("commit_count", isMember ? counters.commits : 0),
            ("stale_sessions_expired", counters.expiredSessions),
            ("revalidate_count", counters.revalidations),
            // Not one of Apache's.
            ("process_resident_bytes", Int64(process.residentBytes)),
        ]
        return rows.map { ($0.0, "\($0.1)") }
    }
}
