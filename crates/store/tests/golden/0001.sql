UPDATE lease SET epoch = 5, holder = 'golden', last_seq = 12, folded_before = 11, pruned_before = 11;
INSERT INTO meta VALUES ('farm', 'golden');
INSERT INTO jobs VALUES (1, 'shot', 'cmdrange', 'mia', 1700000000000, 'k', '{}', 1, 2, 6, 'notes');
INSERT INTO job_states VALUES (1, 'running', 100, 1, 1700000000001, NULL, 1, 0, 0, 1, 0, 4, 0, 0);
INSERT INTO items VALUES (1, 0, 6, 10, x'01058001000000000000000100ffffffffffffffff');
INSERT INTO instances VALUES (1, 0, 'running', '{}', 1, 0);
INSERT INTO launches VALUES (1, 0, 1, x'01010101010101010101010101010101', 'up', 3, 1, 'mia', 'user', 7, '{}');
INSERT INTO hosts VALUES (x'01010101010101010101010101010101', 'rnd001', 'up', 0, '{}', 1, 2, NULL);
INSERT INTO attempts VALUES (1, 2, 1, 0, 1, x'01010101010101010101010101010101', 'rnd001', 'mia', 1, 2, 3, 'complete', 0,
    NULL, NULL, 1, 1, 4096, 5, 5, 0, 0, 0, 1);
INSERT INTO journal VALUES (11, 3, 'item.ended', 1, 0, 2, 1, x'01010101010101010101010101010101', NULL, -2, 'complete');
INSERT INTO journal VALUES (12, 4, 'job.action', 1, NULL, NULL, NULL, NULL, 'mia', NULL, 'modified');
INSERT INTO tokens VALUES ('t', x'0202020202020202020202020202020202020202020202020202020202020202', 'mia', 0, '', 1, NULL, NULL);
INSERT INTO join_tokens VALUES (x'0303030303030303030303030303030303030303030303030303030303030303', '', 1, 2, 1);
