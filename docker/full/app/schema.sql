-- The token makes it harmless to write an entry twice.
CREATE TABLE IF NOT EXISTS entries (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    token CHAR(32) CHARACTER SET ascii NOT NULL UNIQUE,
    name VARCHAR(80) NOT NULL,
    text VARCHAR(1000) NOT NULL,
    written TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)
) CHARACTER SET utf8mb4;

-- On each server its own name: which one has answered? The rows are not replicated.
CREATE TABLE IF NOT EXISTS here (id INT PRIMARY KEY, server VARCHAR(20) NOT NULL) CHARACTER SET utf8mb4;
