//! The cases of every C program, by name.

use crate::{CheckedBy, check_list, run};

/// Makes a module of tests from a C program: every case on its own and, for
/// those under `watched`, once more under valgrind. Cases under `unwatched`
/// wait for many seconds or are about real time.
macro_rules! c_program {
    ($module:ident, $file:literal,
     watched: [$($watched:ident),* $(,)?],
     unwatched: [$($unwatched:ident),* $(,)?] $(,)?) => {
        mod $module {
            use super::{CheckedBy, check_list, run};

            pub(super) const CASES: &[&str] =
                &[$(stringify!($watched),)* $(stringify!($unwatched),)*];

            $(#[test]
            fn $watched() {
                run($file, stringify!($watched), CheckedBy::Itself);
            })*

            $(#[test]
            fn $unwatched() {
                run($file, stringify!($unwatched), CheckedBy::Itself);
            })*

            mod valgrind {
                use super::{CheckedBy, run};

                $(#[test]
                fn $watched() {
                    run($file, stringify!($watched), CheckedBy::Valgrind);
                })*
            }

            #[test]
            fn every_case_is_listed() {
                check_list($file, CASES);
            }
        }
    };
}

c_program!(
    states,
    "states.c",
    watched: [
        new_socket_is_closed,
        every_slot_of_the_v_table_is_filled,
        global_state_can_be_initialised_and_cleaned_up,
        bind_makes_bound,
        bound_tcp_listens,
        connect_makes_connected,
        bound_udp_can_be_connected_and_keeps_its_port,
        accept_makes_accepted,
        shutdown_makes_shutdown,
        tcp_shutdown_is_seen_by_the_peer,
        close_works_from_every_state_and_again,
        closed_object_can_be_used_again,
        shut_down_object_can_be_used_again_after_close,
        cleanup_closes_and_clears_the_pointer,
        cleanup_of_a_pointer_to_null_is_ok,
        counters_survive_close_and_reconnect,
    ],
    unwatched: [],
);

c_program!(
    wrong_state,
    "wrong_state.c",
    watched: [
        bind_and_connect_are_refused_when_connected,
        bind_and_connect_are_refused_when_accepted,
        bind_and_connect_are_refused_when_shut_down,
        bind_and_connect_are_refused_on_a_listening_tcp_socket,
        closed_socket_refuses_transfer,
        closed_socket_refuses_information,
        shutdown_of_a_closed_socket_is_refused_and_leaves_it_closed,
        send_on_a_listening_tcp_socket_fails_at_once,
        send_on_an_unconnected_udp_socket_wants_an_address,
        accept_needs_a_bound_socket,
        accept_needs_a_closed_target,
        accept_refuses_a_target_of_the_other_type,
        decorate_is_not_supported,
        failed_bind_leaves_the_socket_closed,
        failed_connect_leaves_the_socket_closed,
    ],
    unwatched: [],
);

c_program!(
    addrinfo,
    "addrinfo.c",
    watched: [
        literals_resolve_to_themselves,
        literal_becomes_the_right_sockaddr,
        ipv6_literals_may_stand_in_brackets,
        ipv6_literals_may_have_a_scope,
        scope_of_no_interface_does_not_resolve,
        broken_brackets_do_not_resolve,
        link_local_text_has_its_scope,
        port_text_is_decimal,
        other_port_text_does_not_resolve,
        text_that_is_not_utf8_does_not_resolve,
        over_long_names_do_not_resolve,
        family_restricts_literals,
        missing_host_is_the_wildcard_when_passive,
        preferred_wildcard_comes_first,
        missing_host_does_not_resolve_otherwise,
        literals_may_be_passive,
        v4mapped_flag_maps_ipv4_results,
        v4mapped_flag_with_ipv6_asks_for_both_families,
        v4mapped_flag_leaves_ipv6_results_alone,
        v4mapped_text_is_the_plain_form,
        noaddrconfig_flag_is_accepted,
        names_go_to_the_system_resolver,
        resolves_for_all_four_socket_types,
        other_types_and_families_do_not_resolve,
        rewind_starts_the_same_list_again,
        delete_clears_the_pointer_and_takes_null,
        text_buffers_may_fit_exactly,
        text_buffers_too_small_are_refused_and_not_overrun,
        either_text_may_be_left_out,
        endpoint_of_garbage_has_no_text,
    ],
    unwatched: [],
);

c_program!(
    names,
    "names.c",
    watched: [
        all_addresses_of_a_name_are_listed_once,
        order_is_drawn_anew_for_every_lookup,
        rewound_list_keeps_its_order,
        ipv6_comes_first_without_a_preference,
        preferred_endpoint_comes_first_of_all,
        preferred_endpoint_counts_as_a_whole,
        preferred_endpoint_is_compared_without_v4_mapping,
        preferred_endpoint_of_garbage_is_harmless,
        forced_family_lists_no_other,
        connect_follows_the_family_policy,
        family_without_a_route_is_passed_over,
        send_to_passes_over_unreachable_networks,
        send_to_passes_over_unreachable_hosts,
        bind_works_with_loopback_only,
        ipv6_wildcard_reaches_ipv4_where_the_system_separates_them,
        longest_name_works_and_is_remembered,
    ],
    unwatched: [],
);

c_program!(
    resolver,
    "resolver.c",
    watched: [
        unknown_name_gives_the_methods_own_code,
    ],
    unwatched: [
        dead_name_server_costs_ten_seconds,
        same_lookup_is_made_once_and_literals_do_not_wait,
        unfinished_lookups_are_bounded,
    ],
);

c_program!(
    literals,
    "literals.c",
    watched: [
        resolving_literals_asks_nobody,
        sending_to_literals_asks_nobody,
        binding_to_literals_asks_nobody,
        connecting_to_literals_asks_nobody,
        names_are_asked_for_and_counted,
    ],
    unwatched: [],
);

c_program!(
    udp,
    "udp.c",
    watched: [
        connect_and_exchange,
        connect_by_name,
        connect_to_an_ipv6_literal_in_brackets,
        connect_without_host_is_refused,
        bad_text_is_refused_by_connect_and_send_to,
        forced_family_excludes_literals_of_the_other,
        preferred_family_still_allows_the_other,
        send_to_and_receive_from,
        send_to_by_name,
        zero_length_datagrams_are_sent,
        largest_datagram_passes_and_a_larger_one_is_refused,
        one_send_is_one_datagram,
        ipv6_wildcard_socket_reaches_ipv4_peers,
        ipv6_wildcard_socket_connects_to_an_ipv4_peer,
        ipv4_wildcard_socket_connects_to_an_ipv6_peer,
        ipv4_socket_does_not_send_to_ipv6_peers,
        ipv4_socket_sends_to_the_ipv4_address_of_a_dual_stack_name,
        forced_ipv6_socket_does_not_send_to_an_ipv4_name,
        specifically_bound_socket_does_not_reach_the_other_family,
        failed_connect_keeps_a_bound_socket_on_its_port,
        port_unreachable_is_reported_once,
        pending_error_does_not_stop_a_send,
        connected_socket_hears_its_peer_only,
        datagrams_of_strangers_queued_before_connect_are_not_delivered,
        client_keeps_its_port_over_a_reconnect,
    ],
    unwatched: [],
);

c_program!(
    tcp,
    "tcp.c",
    watched: [
        connect_and_exchange,
        connect_by_name,
        connect_without_host_is_refused,
        refused_connect_says_so_at_once,
        short_writes_are_counted_exactly,
        send_of_nothing_on_tcp_succeeds,
        partial_send_reports_the_error_and_counts_what_went_out,
        signals_do_not_disturb_a_send,
        send_to_a_peer_that_is_gone_is_an_error_without_a_signal,
        send_after_the_peer_closed_ends_in_an_error_without_a_signal,
        end_of_stream_is_a_success_of_length_zero,
        reset_is_reported_by_every_receive_until_close,
        reset_seen_by_send_is_reported_by_receive_as_well,
        send_to_on_tcp_ignores_the_address,
        send_to_on_tcp_loops_like_send,
        receive_from_on_tcp_names_the_peer,
        shutdown_keeps_ports_and_delivers_what_arrived,
        receive_takes_what_is_there,
    ],
    unwatched: [
        connect_gives_up_on_an_address_after_ten_seconds,
        send_without_progress_gives_up_after_thirty_seconds,
    ],
);

c_program!(
    racing,
    "racing.c",
    watched: [
        silent_ipv6_address_costs_a_quarter_of_a_second,
        every_address_is_tried,
        error_of_the_last_attempt_is_returned,
        preferred_endpoint_starts_the_race,
    ],
    unwatched: [
        silent_ipv4_address_does_not_matter_when_ipv6_answers,
        refused_address_starts_the_next_at_once,
    ],
);

c_program!(
    stickiness,
    "stickiness.c",
    watched: [
        connect_stores_the_endpoint,
        stored_endpoint_does_not_leak_old_bytes,
        failed_connect_leaves_the_stored_endpoint_alone,
        endpoint_of_another_server_is_replaced,
        stored_garbage_is_ignored_and_replaced,
        server_of_a_pool_is_kept,
        without_a_stored_endpoint_the_choice_is_free,
        ipv4_server_is_kept_on_an_ipv6_bound_socket,
        stored_endpoint_may_be_v4mapped,
        stored_endpoint_comes_before_the_preferred_family,
        stored_endpoint_that_the_name_no_longer_has_is_not_used,
    ],
    unwatched: [],
);

c_program!(
    bind_ports,
    "bind_ports.c",
    watched: [
        port_zero_picks_a_port_and_tells_it,
        missing_address_is_the_dual_stack_wildcard,
        wildcard_follows_the_family_policy,
        literals_of_both_families_can_be_bound,
        names_can_be_bound,
        bad_text_is_an_invalid_argument,
        taken_port_is_said_to_be_in_use,
        foreign_address_is_said_to_be_not_available,
        unknown_interface_is_said_to_be_no_device,
        lack_of_descriptors_is_said,
        released_udp_port_can_be_bound_again_at_once,
        released_tcp_port_can_be_bound_again_with_reuse_addr,
        reuse_addr_is_set_before_bind,
        reuse_addr_is_off_by_default,
        backlog_is_long,
    ],
    unwatched: [],
);

c_program!(
    accept,
    "accept.c",
    watched: [
        tcp_accept_knows_its_peer,
        tcp_accept_takes_one_connection_after_the_other,
        tcp_accept_applies_the_new_sockets_configuration,
        tcp_accept_that_fails_leaves_the_server_listening,
        udp_accept_makes_a_connected_socket,
        udp_server_is_bound_anew_on_the_same_address,
        udp_datagrams_of_other_peers_never_reach_the_new_socket,
        udp_accept_waits_under_the_receive_timeout,
        signals_do_not_restart_the_clock_of_accept,
        udp_accept_wants_reuse_addr_on_both,
        udp_accept_takes_an_empty_first_datagram,
        udp_accept_applies_the_new_sockets_configuration,
        udp_accept_that_fails_leaves_both_usable,
        accepted_socket_can_be_filled_again_after_close,
        closing_the_server_leaves_accepted_sockets_alone,
    ],
    unwatched: [
        tcp_accept_gives_up_after_five_seconds,
    ],
);

c_program!(
    receive,
    "receive.c",
    watched: [
        datagram_that_fits_exactly_is_a_success,
        longer_datagram_is_truncated_and_said_so,
        truncation_is_found_by_receive_from_too,
        empty_datagram_is_a_success,
        buffer_of_no_bytes_takes_an_empty_datagram_only,
        length_is_written_even_on_errors,
        sender_text_that_does_not_fit_is_a_range_error_with_the_data_delivered,
        sender_text_may_fit_exactly,
        sender_of_a_dual_stack_socket_is_named_in_plain_form,
        datagrams_arrive_in_order_and_one_by_one,
        udp_after_shutdown_delivers_what_arrived_then_aborts,
        udp_after_shutdown_keeps_its_ports,
        tcp_sender_text_that_does_not_fit_is_a_range_error,
    ],
    unwatched: [],
);

c_program!(
    receive_timeouts,
    "receive_timeouts.c",
    watched: [
        default_timeout_is_thirty_seconds,
        timeout_is_never_early,
        timeout_of_a_fraction_of_a_millisecond_waits,
        timeout_is_not_late_either,
        timeout_of_whole_seconds,
        receive_from_waits_as_long,
        zero_and_negative_timeouts_do_not_wait,
        timeout_of_zero_delivers_what_is_there,
        invalid_timeout_waits_for_ever,
        longest_valid_timeouts_do_not_overflow,
        data_ends_the_wait,
        signals_do_not_restart_the_clock,
        packet_with_a_bad_checksum_does_not_end_the_wait,
        timeout_can_be_changed_between_calls,
    ],
    unwatched: [],
);

c_program!(
    threads,
    "threads.c",
    watched: [
        close_wakes_a_udp_receive,
        close_wakes_a_udp_receive_from_on_a_bound_socket,
        close_wakes_a_tcp_receive,
        close_wakes_a_receive_that_waits_for_ever,
        close_wakes_a_send,
        close_wakes_a_tcp_accept,
        close_wakes_a_udp_accept,
        close_wakes_a_connect,
        shutdown_wakes_a_udp_receive,
        shutdown_wakes_a_receive_on_a_bound_udp_socket,
        shutdown_wakes_a_tcp_receive,
        shutdown_wakes_a_send,
        shutdown_wakes_a_tcp_accept,
        shutdown_wakes_a_udp_accept,
        shutdown_wakes_a_connect,
        options_do_not_wait_for_a_blocked_receive,
        two_receives_share_a_socket,
        close_wakes_all_waiting_calls,
        socket_can_be_reopened_at_once_after_waking_a_call,
        closed_descriptor_is_never_used_for_somebody_elses_file,
        counters_are_exact_under_two_sending_threads,
    ],
    unwatched: [],
);

c_program!(
    info,
    "info.c",
    watched: [
        bound_socket_knows_itself_only,
        connected_socket_knows_both_ends,
        hostname_is_remembered_as_given,
        hostname_in_brackets_is_remembered_as_given,
        hostname_and_port_are_forgotten_by_close,
        buffers_may_fit_exactly_and_are_not_overrun,
        v4mapped_addresses_print_in_plain_form,
        interface_of_a_v4mapped_address_is_found,
        configured_interface_is_told_in_every_state,
        system_socket_pointer_is_stable_until_close,
        system_socket_can_be_polled,
    ],
    unwatched: [],
);

c_program!(
    options,
    "options.c",
    watched: [
        receive_timeout_is_kept_as_given,
        receive_timeout_survives_close,
        state_is_read_only,
        address_family_is_that_of_the_descriptor,
        mtu_is_that_of_the_path,
        mtu_of_a_v4mapped_connection_is_that_of_ipv4,
        mtu_of_a_tcp_connection_is_that_of_the_path,
        mtu_without_a_path_is_unknown,
        inner_mtu_without_a_path_is_the_smallest_that_must_work,
        forced_mtu_overrides_the_path,
        inner_mtu_is_never_negative,
        forced_mtu_of_zero_or_less_forces_nothing,
        inner_mtu_is_for_udp_only,
        counters_can_be_read_in_every_state_and_not_set,
        nothing_is_ever_buffered,
        families_can_be_read_and_set,
        families_come_from_the_configuration,
        forced_family_counts_from_the_next_resolution_on,
        tls_keys_and_unknown_keys_are_invalid,
        get_writes_the_field_of_its_key_only,
    ],
    unwatched: [],
);

c_program!(
    config,
    "config.c",
    watched: [
        dscp_is_at_most_63,
        priority_is_at_most_7,
        booleans_are_0_or_1,
        interface_name_is_terminated,
        families_are_known,
        no_configuration_is_the_default_one,
        configuration_is_copied,
        dscp_and_priority_are_applied,
        dscp_alone_and_priority_alone_are_applied,
        dscp_is_the_traffic_class_of_ipv6_sockets,
        dscp_of_dual_stack_sockets_is_set_for_both_families,
        dscp_arrives_at_the_ipv4_peer_of_a_dual_stack_socket,
        nothing_is_applied_by_default,
        interface_is_applied,
        transparent_is_applied,
        unknown_interface_is_the_error_of_the_call,
        lack_of_privilege_is_the_error_of_the_call,
    ],
    unwatched: [],
);

c_program!(
    bad_input,
    "bad_input.c",
    watched: [
        no_place_for_the_new_socket,
        null_socket,
        null_output_of_information,
        null_buffer_with_a_length,
        null_output_of_receive,
        absurd_lengths,
        absurd_lengths_of_text,
        accept_into_a_socket_of_another_library,
        accept_into_a_socket_with_a_copy_of_the_v_table,
        accept_into_nothing,
        accept_into_itself,
        decorate_with_anything,
        null_address_list,
        null_endpoint,
        texts_of_every_single_byte,
        texts_are_read_to_their_end_only,
    ],
    unwatched: [],
);

c_program!(
    pointers,
    "pointers.c",
    watched: [
        null_for_every_pointer,
        every_pointer_misaligned,
        every_text_with_too_little_room,
        settings_with_too_little_room,
    ],
    unwatched: [],
);

c_program!(
    poison,
    "poison.c",
    watched: [
        receive_writes_what_it_reports,
        receive_that_fails_writes_nothing,
        sender_text_is_all_that_is_written_of_a_sender,
        information_is_its_text_and_no_more,
        endpoints_are_filled_to_their_end,
        stored_endpoints_are_not_trusted,
    ],
    unwatched: [],
);

c_program!(
    hygiene,
    "hygiene.c",
    watched: [
        descriptors_are_close_on_exec_and_do_not_block,
        recreated_descriptor_has_the_same_flags,
        child_processes_inherit_nothing,
        descriptor_zero_is_a_valid_socket,
        failing_calls_leak_no_descriptor,
        creation_opens_no_descriptor,
        churn_leaks_nothing,
    ],
    unwatched: [],
);

c_program!(
    stats,
    "stats.c",
    watched: [
        traffic_of_a_socket_and_of_the_process,
        connects_by_outcome_and_time,
        lookups_by_outcome_and_time,
        structs_of_other_sizes,
        statistics_of_nothing,
        text_is_cut_to_the_buffer,
        file_is_replaced_as_a_whole,
    ],
    unwatched: [
        snapshots_fit_together_while_others_send,
    ],
);

c_program!(
    logging,
    "logging.c",
    watched: [
        lines_have_socket_peer_and_reason,
        no_line_for_each_datagram_below_trace,
        handler_may_use_sockets,
        levels_and_nesting_are_checked,
    ],
    unwatched: [],
);

c_program!(
    capture,
    "capture.c",
    watched: [
        sockets_that_are_open_already_are_captured,
        methods_do_the_same_while_captured,
        empty_buffer_is_not_the_end_of_a_stream,
        there_is_one_capture_at_a_time,
        limit_holds_for_long_packets,
        long_texts_leave_the_file_readable,
        links_and_pipes_are_not_written_to,
        file_of_another_user_is_left_alone,
        long_packets_are_cut,
        full_disk_refuses_the_start,
    ],
    unwatched: [
        // What the parent's thread had is lost to the child.
        forked_process_has_no_capture,
        newest_packets_are_kept_within_the_limit,
        full_disk_ends_the_capture_and_not_the_client,
    ],
);

/// Every case as `program::case`.
pub fn all() -> Vec<String> {
    let programs = [
        ("states", states::CASES),
        ("wrong_state", wrong_state::CASES),
        ("addrinfo", addrinfo::CASES),
        ("names", names::CASES),
        ("resolver", resolver::CASES),
        ("literals", literals::CASES),
        ("udp", udp::CASES),
        ("tcp", tcp::CASES),
        ("racing", racing::CASES),
        ("stickiness", stickiness::CASES),
        ("bind_ports", bind_ports::CASES),
        ("accept", accept::CASES),
        ("receive", receive::CASES),
        ("receive_timeouts", receive_timeouts::CASES),
        ("threads", threads::CASES),
        ("info", info::CASES),
        ("options", options::CASES),
        ("config", config::CASES),
        ("bad_input", bad_input::CASES),
        ("pointers", pointers::CASES),
        ("poison", poison::CASES),
        ("hygiene", hygiene::CASES),
        ("stats", stats::CASES),
        ("logging", logging::CASES),
        ("capture", capture::CASES),
    ];
    programs
        .iter()
        .flat_map(|(program, cases)| cases.iter().map(move |case| format!("{program}::{case}")))
        .collect()
}
