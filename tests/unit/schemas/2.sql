BEGIN TRANSACTION;
CREATE TABLE answers (id INTEGER PRIMARY KEY CHECK (id = 1), body TEXT NOT NULL);
INSERT INTO "answers" VALUES(1,'{"schema": 1, "relay": {"domain": "brightmail.example", "hostname": "mail.brightmail.example"}}');
CREATE TABLE changes (
        id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES runs (id), step TEXT NOT NULL,
        operation TEXT NOT NULL, at TEXT NOT NULL, state TEXT NOT NULL, record TEXT NOT NULL
    );
INSERT INTO "changes" VALUES(1,1,'hostname','file:/etc/hostname','2026-11-21T10:00:10Z','done','{"summary": "change /etc/hostname", "undo_edit": [], "undo": [["hostname", "vps"]], "by_line": false, "notify": ["postfix"], "restart": [], "kept": null}');
INSERT INTO "changes" VALUES(2,1,'ssh','file:/etc/ssh/sshd_config.d/00-relay-wizard.conf','2026-11-21T10:00:20Z','intended','{"summary": "change /etc/hostname", "undo_edit": [], "undo": [], "by_line": false, "notify": ["postfix"], "restart": [], "kept": null}');
CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES runs (id), body TEXT NOT NULL
    );
INSERT INTO "events" VALUES(1,1,'{"event": "run.started", "run": 1, "kind": "apply", "steps": ["hostname", "ssh"]}');
CREATE TABLE guards (
        id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES runs (id), state TEXT NOT NULL,
        since INTEGER NOT NULL, armed TEXT NOT NULL, ended TEXT, record TEXT NOT NULL
    );
INSERT INTO "guards" VALUES(1,1,'proved',1,'2026-11-21T10:00:15Z','2026-11-21T10:00:40Z','{"steps": ["ssh"], "port": 2222, "seconds": 300, "command": "ssh -p 2222 root@192.0.2.10", "session": null}');
CREATE TABLE observations (
        step TEXT PRIMARY KEY, status TEXT NOT NULL, at TEXT NOT NULL, verified_at TEXT, planned INTEGER NOT NULL
    );
INSERT INTO "observations" VALUES('hostname','verified','2026-11-21T10:00:30Z','2026-11-21T10:00:30Z',0);
CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, started TEXT NOT NULL, finished TEXT, status TEXT NOT NULL,
        exit INTEGER, pid INTEGER, request TEXT NOT NULL
    );
INSERT INTO "runs" VALUES(1,'2026-11-21T10:00:00Z','2026-11-21T10:01:00Z','ok',0,811,'{"kind": "apply", "steps": ["hostname", "ssh"], "wait": 0, "operator": "203.0.113.70"}');
INSERT INTO "runs" VALUES(2,'2026-11-21T11:00:00Z',NULL,'running',NULL,NULL,'{"kind": "rollback", "steps": ["ssh"], "wait": 0, "operator": ""}');
CREATE TABLE snapshots (
        change INTEGER NOT NULL REFERENCES changes (id), path TEXT NOT NULL, kind TEXT NOT NULL, content BLOB NOT NULL,
        mode INTEGER NOT NULL, owner TEXT NOT NULL, grp TEXT NOT NULL, target TEXT NOT NULL, parents TEXT NOT NULL,
        before_print TEXT NOT NULL, after_print TEXT, after_content BLOB,
        PRIMARY KEY (change, path)
    );
INSERT INTO "snapshots" VALUES(1,'/etc/hostname','file',X'7670730A',420,'root','root','','[]','795a3f1092cc4cf72433348c86a65c7f338f15eab9dd2b0b7a37035c37863548','7ca644d1c58208722c76ef0c0ffd8b36a5578da3605a1a7851ecd9ac3918df5d',X'6D61696C2E6272696768746D61696C2E6578616D706C650A');
INSERT INTO "snapshots" VALUES(2,'/etc/ssh/sshd_config.d/00-relay-wizard.conf','absent',X'',0,'','','','["/etc/ssh/sshd_config.d"]','absent',NULL,NULL);
CREATE INDEX events_of_run ON events (run, id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('runs',2);
INSERT INTO "sqlite_sequence" VALUES('events',1);
INSERT INTO "sqlite_sequence" VALUES('changes',2);
INSERT INTO "sqlite_sequence" VALUES('guards',1);
PRAGMA user_version = 2;
COMMIT;
