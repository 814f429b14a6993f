//! Commands, and the parameters of an execution: what is split joins to an execution that splits the same.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use wire::Capabilities;
use wire::command::{Command, execute_parameters, put_execute};

fuzz_target!(|data: &[u8]| {
    let Some((&[low, high, capabilities], payload)) = data.split_first_chunk() else {
        return;
    };
    let params = u16::from_le_bytes([low, high]);
    let capabilities = if capabilities & 1 == 0 { Capabilities::empty() } else { Capabilities::QUERY_ATTRIBUTES };
    let execute = match Command::parse(payload, capabilities) {
        Ok(Command::Execute(execute)) => execute,
        Ok(Command::Query { sql, attributes }) => {
            attributes.each(|_| false, |_, _| {}).expect("it was walked over before");
            assert!(payload.ends_with(sql));
            return;
        }
        _ => return,
    };
    let Ok(parameters) = execute_parameters(&execute, params, capabilities) else {
        return;
    };
    let _ = parameters.attributes(params, parameters.types).each(|_| false, |_, _| {});
    let mut out = BytesMut::new();
    put_execute(&mut out, execute.statement_id, execute.cursor_flags(), Some((&parameters, None)));
    let Ok(Command::Execute(again)) = Command::parse(&out, capabilities) else { panic!("{out:?}") };
    assert_eq!((again.statement_id, again.iterations), (execute.statement_id, 1));
    assert_eq!(again.cursor_flags(), execute.cursor_flags());
    assert_eq!(execute_parameters(&again, params, capabilities), Ok(parameters));

    if parameters.count.is_some() {
        return;
    }
    let types = vec![3; usize::from(params) * 2];
    let mut out = BytesMut::new();
    put_execute(&mut out, 1, 0, Some((&parameters, Some(&types))));
    let Ok(Command::Execute(again)) = Command::parse(&out, capabilities) else { panic!("{out:?}") };
    let typed = execute_parameters(&again, params, capabilities).unwrap();
    assert_eq!(typed.values, parameters.values);
    assert_eq!(typed.types.unwrap_or_default(), types);
});
