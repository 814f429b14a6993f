//! The schemas that are about the server itself.

/// What kind of schema a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SchemaClass {
    /// Users' data.
    User,
    /// `information_schema`: partly about the data, partly about the server.
    Information,
    /// `performance_schema`, `mysql`, `sys`: about the server, its accounts, its own replication state.
    Server,
}

/// What `information_schema` says about replicated definitions, which is the same on every server that has caught up.
///
/// Sources: MySQL manual chapter 28, MariaDB "Information Schema Tables".
const ABOUT_DATA: &[&str] = &[
    "applicable_roles",
    "character_sets",
    "check_constraints",
    "collation_character_set_applicability",
    "collations",
    "column_privileges",
    "columns",
    "columns_extensions",
    "geometry_columns",
    "json_duality_view_columns",
    "json_duality_view_links",
    "json_duality_view_tables",
    "json_duality_views",
    "key_column_usage",
    "key_period_usage",
    "keywords",
    "libraries",
    "parameters",
    "partitions",
    "periods",
    "referential_constraints",
    "routine_libraries",
    "routines",
    "schema_privileges",
    "schemata",
    "schemata_extensions",
    "spatial_ref_sys",
    "st_geometry_columns",
    "st_spatial_reference_systems",
    "st_units_of_measure",
    "statistics",
    "table_constraints",
    "table_constraints_extensions",
    "table_privileges",
    "tables",
    "tables_extensions",
    "triggers",
    "user_attributes",
    "user_privileges",
    "view_routine_usage",
    "view_table_usage",
    "views",
];

impl SchemaClass {
    /// The names of these schemas do not depend on case; where they do, other spellings are treated the same.
    pub(crate) fn of_name(name: &[u8]) -> Self {
        if name.eq_ignore_ascii_case(b"information_schema") {
            Self::Information
        } else if ["performance_schema", "mysql", "sys"].iter().any(|s| name.eq_ignore_ascii_case(s.as_bytes())) {
            Self::Server
        } else {
            Self::User
        }
    }

    pub(crate) fn is_system(self) -> bool {
        self != Self::User
    }

    /// Whether `schema.table` may be read on a replica.
    pub(crate) fn may_read(self, table: &[u8]) -> bool {
        match self {
            Self::User => true,
            Self::Information => ABOUT_DATA.iter().any(|known| table.eq_ignore_ascii_case(known.as_bytes())),
            Self::Server => false,
        }
    }
}
