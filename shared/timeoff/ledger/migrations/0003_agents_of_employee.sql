-- Who asks for an employee's leave looks for the agents that he is.

CREATE INDEX agent_links_employee ON agent_links (target, employee_id);
